"""Where Daystone's caches of a user lie: manifests that were read, Spark's jars and classes, and compiled code. They are
safe to delete at any time."""

from __future__ import annotations

import os
from pathlib import Path


def user_directory() -> Path:
    """The directory of a user's caches of Daystone."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "daystone")
