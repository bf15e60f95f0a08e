"""The footer of a Parquet file says where its pages are and how to read them.

The format has checksums for pages, but none for the footer. With one flipped bit in the footer, other numbers are read
without any error. So a manifest has the SHA-256 of each footer.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.parquet as pq

#: The footer's length, little-endian, and this end every Parquet file.
_MAGIC = b"PAR1"
_END = 4 + len(_MAGIC)


def read(file: Any) -> bytes:
    """The footer of an open, seekable file, with its length and the mark at its end. Raises pyarrow.ArrowInvalid where
    there is none."""
    import pyarrow.parquet as pq

    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(max(size - _END, 0))
    end = file.read(_END)
    length = _END + int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or length > size:
        file.seek(0)
        pq.read_metadata(file)  # raises, and says what is wrong
    file.seek(size - length)
    footer: bytes = file.read(length)
    return footer


def checksum(footer: bytes) -> str:
    return f"sha256:{hashlib.sha256(footer).hexdigest()}"


def parsed(footer: bytes) -> pq.FileMetaData:
    """The metadata in a footer. Raises pyarrow.ArrowException where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_metadata(pa.BufferReader(footer))
