"""Who decides."""

from __future__ import annotations

import getpass


def user() -> str:
    """The name of the user; unknown on a machine that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
