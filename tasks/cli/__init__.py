"""The command `daystone`. Each verb (run, backfill, rebuild, clean, gc, sample, land, status, plan, why, lineage, files, doctor,
check, init) has a module of its name. The other modules are what the verbs share.
"""
