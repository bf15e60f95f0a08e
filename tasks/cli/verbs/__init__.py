"""The verbs of ``daystone``: each module has the one of its name as ``command``."""
