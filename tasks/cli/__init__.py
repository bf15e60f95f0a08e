"""The command `daystone`. Each verb (run, rebuild, gc, sample, status, files, doctor) has a module of its name; the
other modules are what the verbs share.
"""
