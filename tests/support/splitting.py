"""Where an entity falls in a split, computed without Spark."""

from __future__ import annotations

import hashlib


def by_hand(salt: str, entity: str) -> float:
    """The number from 0 to 1 that decides on which side of a split an entity is."""
    return int(hashlib.sha256(f"{salt}:{entity}".encode()).hexdigest(), 16) // 2**204 / 2**52
