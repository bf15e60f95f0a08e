"""What holds for every test."""

from __future__ import annotations

import signal

# A shell that starts something in the background has it ignore Ctrl-C, and so would every process that a test starts:
# what a user's does is tested here. (Of xdist's workers too, as their own conftest.)
signal.signal(signal.SIGINT, signal.default_int_handler)
