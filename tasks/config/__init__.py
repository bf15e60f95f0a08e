"""Configuration: what can be set, which value holds, and what cannot work.

Nothing is imported here: `files` looks at the configuration files before Luigi reads them.
"""
