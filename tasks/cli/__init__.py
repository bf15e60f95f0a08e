"""The command ``daystone``. Each module of ``verbs`` is a verb; the modules here are what verbs do and what they share."""
