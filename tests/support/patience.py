"""How long a test waits for something that is sure to come."""

from __future__ import annotations

#: Seconds after which what a test waits for is taken to hang. It is many times what anything takes, because a machine may
#: be busy: no test is about speed.
PATIENCE = 900.0
