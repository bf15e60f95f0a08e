"""The entities whose published scores are a canary's challenger's.

An entity is drawn by a hash of its values, salted with the name of the promotion: the split of training hashes entities,
too, and without a salt of its own a canary might be full of entities that the challenger was trained on. An entity that
is drawn stays drawn while the share grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

#: Hashes are whole numbers below this.
_HASHES = 2**64
#: What stands between the values of an entity of several columns; no value of a key holds it.
_BETWEEN = "\x1f"


@dataclass(frozen=True)
class Share:
    """``share`` of all entities, from 0 to 1, drawn by ``salt``. ``entity`` are the columns that make up an entity. With
    ``inside`` it stands for these entities, else for all others."""

    entity: tuple[str, ...]
    salt: str
    share: float
    inside: bool = True

    def holds(self, values: Sequence[Any]) -> bool:
        """Whether it stands for the entity of these values, in the order of its columns."""
        return self._is_drawn(_BETWEEN.join(map(str, values))) == self.inside

    def of(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of the entities that it stands for, in their order."""
        import pyarrow as pa

        return rows.filter(pa.array(self.mask(rows)))

    def mask(self, rows: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Whether it stands for the entity of each row."""
        import numpy as np

        texts = [rows.column(name).dictionary_encode() for name in self.entity]
        if len(texts) == 1:  # each entity of a batch is hashed once
            (column,) = texts
            drawn = np.array([self._is_drawn(str(value)) for value in column.dictionary.to_pylist()], dtype=bool)
            found = drawn[column.indices.fill_null(0).to_numpy()] if len(drawn) else np.zeros(rows.num_rows, dtype=bool)
        else:
            found = np.array(
                [self._is_drawn(text) for text in _joined(column.to_pylist() for column in texts)], dtype=bool
            )
        asked: npt.NDArray[np.bool_] = found == self.inside
        return asked

    def _is_drawn(self, text: str) -> bool:
        hashed = hashlib.blake2b(text.encode(), digest_size=8, key=self.salt.encode()[:64]).digest()
        return int.from_bytes(hashed, "big") < self.share * _HASHES


def _joined(columns: Iterable[Sequence[Any]]) -> Iterable[str]:
    return (_BETWEEN.join(map(str, values)) for values in zip(*columns, strict=True))
