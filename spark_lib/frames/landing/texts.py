"""Writes the rows of a CSV feed by its dialect, so that ``spark_lib.frames.delimited`` reads the same rows again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.lake import Dialect, RawFeed


def of_values(feed: RawFeed, file: str, values: pa.RecordBatch, columns: Mapping[str, str]) -> pa.RecordBatch:
    """The texts of ``values``, which were read from the Parquet ``file``. Not written yet."""
    raise ConfigurationError(
        f"raw feed {feed.name}: {file}",
        "a CSV file, as the feed lands CSV",
        "a Parquet file",
        f"give the table as CSV, or land Parquet ([{feed.section}] format = parquet)",
    )


def document(texts: pa.Table, dialect: Dialect) -> bytes:
    """The whole CSV file of these rows. Lines end with LF, and a value has quotes where it needs them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [_quoted(column, dialect) for column in texts.columns]
    lines = pc.binary_join_element_wise(*columns, pa.scalar(dialect.delimiter, pa.large_string())).to_pylist()
    if dialect.header:
        lines.insert(0, dialect.delimiter.join(_quoted(pa.array(texts.column_names), dialect).to_pylist()))
    return "".join(f"{line}\n" for line in lines).encode(dialect.encoding)


def _quoted(texts: pa.Array | pa.ChunkedArray, dialect: Dialect) -> pa.Array | pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    quote, nothing, null = (pa.scalar(text, texts.type) for text in ('"', "", dialect.null_text))
    quoted = pc.binary_join_element_wise(quote, pc.replace_substring(texts, '"', '""'), quote, nothing)
    return pc.coalesce(pc.if_else(pc.match_substring_regex(texts, _needs_quotes(dialect)), quoted, texts), null)


def _needs_quotes(dialect: Dialect) -> str:
    """A pattern (RE2) of the texts that would be read as something else without quotes: as more than one value or
    record, as null, or as the mark at the beginning of a file."""
    return rf'[{re.escape(dialect.delimiter)}"\r\n]|\A\x{{FEFF}}|\A{re.escape(dialect.null_text)}\z'
