"""Tells people what went wrong in a run, and when it is over: ``runs`` listens, ``telling`` tells."""
