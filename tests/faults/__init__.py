"""The fault matrix: what befalls batch jobs befalls a small graph of stages, and afterwards every invariant is checked.

    make faults                                        every case once
    python -m tests.faults --only NAME --seed N        one case again

A case starts real processes on a lake of its own, lets its fault strike, runs the same again undisturbed, and compares
what is published with an undisturbed run. A case whose fault did not strike counts as a violation too.
"""
