"""Luigi's ``--module`` of the real stages over small bodies."""

from tests.unit.stubs import chain

chain.install()
