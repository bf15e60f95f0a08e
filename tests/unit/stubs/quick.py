"""Luigi's ``--module`` for processes: the stub stages, and the real ones over small bodies, without waiting for the disk.

luigi --module tests.unit.stubs.quick BatchInference --date 2026-01-12
"""

import os

from tests.unit.stubs import chain, stages  # noqa: F401  (Luigi finds stages once they are imported)

chain.install()
os.fsync = lambda descriptor: None  # nobody cuts the power here
