"""Reads one CSV file as batches of values.

The header is checked against the declared columns, each record against the width of the header, and each text against
the type of its column. What does not fit is refused, with file, row, column and text.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from spark_lib.errors import BadData
from spark_lib.frames.delimited.records import Block, BrokenText, Records, Undecodable, row_starts, shortened
from spark_lib.frames.delimited.values import Kind, NoValue, converted, fitting, kind_of
from spark_lib.lake.feeds.raw import not_held

if TYPE_CHECKING:
    import pyarrow as pa

    from spark_lib.lake import RawFeed

LAND_AGAIN = "land the file again"
#: Arrow drops a byte order mark at the beginning of a text. In the middle of a file it belongs to a value.
_BOM = "\ufeff".encode()
#: Separates what is wrong with several texts of one row.
BETWEEN = "; "
_WITH_THE_COLUMN = f"{LAND_AGAIN} with the column"
#: Signs of which one in the only name of a header tells that the file is written with another separator.
_SEPARATORS = frozenset(",;|\t:")
#: The most characters of a file's column names that a message shows.
_NAMES_SHOWN = 500


def kinds(feed: RawFeed, columns: Mapping[str, str]) -> dict[str, Kind]:
    """How each declared column is written. Raises ConfigurationError for a type that CSV cannot hold."""
    found = {}
    for name, declared in columns.items():
        kind = kind_of(declared, feed.dialect)
        if kind is None:
            raise not_held(feed, name, declared)
        found[name] = kind
    return found


def read(feed: RawFeed, file: str, columns: Mapping[str, str], landed: date) -> Iterator[pa.RecordBatch]:
    """Read a file of ``feed`` as batches of the declared ``columns`` (names with Spark's types) and the day it
    ``landed``.

    Raises BadData for a record that is not exactly a row of these columns.
    """
    import pyarrow as pa

    for _, rows in read_with_texts(feed, file, columns):
        yield rows.append_column("landed", pa.repeat(pa.scalar(landed), rows.num_rows))


def read_with_texts(
    feed: RawFeed, file: str, columns: Mapping[str, str]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Read a file of ``feed`` as pairs of batches of the declared ``columns``: their texts, as the file has them and
    without quotes, and their values. Raises BadData as ``read`` does."""
    reading = _Reading(feed, file, columns)
    with _records(reading) as records:
        for block in records.blocks(len(reading.names) == 1):
            texts = reading.texts(block)
            values = reading.values(block, texts)
            records.pass_over(values.num_rows)
            yield texts, values


def read_fitting(
    feed: RawFeed, file: str, columns: Mapping[str, str]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch, pa.Array]]:
    """Read a file of ``feed`` as triples: the texts of the declared ``columns``, their values, with null in place of each
    text that is no value of its type, and of each row in words which texts these are; null where there is none.

    Raises BadData for text that cannot be cut into rows of these columns.
    """
    reading = _Reading(feed, file, columns)
    with _records(reading) as records:
        for block in records.blocks(len(reading.names) == 1):
            texts = reading.texts(block)
            values, misfits = reading.fitting(texts)
            records.pass_over(values.num_rows)
            yield texts, values, misfits


def names(feed: RawFeed, file: str, columns: Mapping[str, str]) -> list[str]:
    """The names of all columns of a file of ``feed``, in order. Raises BadData where a declared column is missing."""
    reading = _Reading(feed, file, columns)
    with _records(reading):
        return reading.names


@contextmanager
def _records(reading: _Reading) -> Iterator[Records]:
    """The records of a file, whose header has been read where there is one. Raises BadData for text that breaks a
    rule."""
    dialect = reading.feed.dialect
    with reading.feed.open(reading.file) as opened:
        packed = reading.file.lower().endswith(".gz")
        text = cast(BinaryIO, gzip.GzipFile(fileobj=opened)) if packed else opened
        records = Records(text, dialect.encoding, dialect.delimiter, dialect.header)
        try:
            if dialect.header:
                reading.set_header(records.header())
            yield records
        except BrokenText as broken:
            raise reading.refused(broken) from broken
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise reading.refusal("a whole file, packed by gzip, as its name says", str(error)) from error


def check_names(
    where: str, file: str, found: Sequence[str], declared: Mapping[str, str], add: str = _WITH_THE_COLUMN
) -> None:
    """Raise BadData where a declared column is not among the names ``found``, or where two of these names fit it.
    ``add`` is the next step where a column is missing.

    To Spark, names that differ only in upper and lower case are the same. Columns that are not declared may have any
    name.
    """
    by_case = Counter(name.casefold() for name in found)
    for name, kind in declared.items():
        wanted = f"a column {name!r} of type {kind}"
        if by_case[name.casefold()] > 1:
            fitting = " and ".join(repr(other) for other in found if other.casefold() == name.casefold())
            raise BadData(
                where, f"one {wanted[2:]}", f"{fitting}, which both fit", f"{LAND_AGAIN} with one of them", file
            )
        if name not in found:
            there = f"only {shortened(', '.join(map(_named, found)), _NAMES_SHOWN)}" if found else "no columns"
            raise BadData(where, wanted, there, add, file)


def _named(name: str) -> str:
    """A name as it is; in quotes where it is empty, or has blanks at its ends or signs that cannot be seen."""
    return name if name.isprintable() and name == name.strip() and name else repr(name)


class _Reading:
    """A file that is being read, with the names of its columns in order."""

    def __init__(self, feed: RawFeed, file: str, columns: Mapping[str, str]) -> None:
        self.feed, self.file, self._columns = feed, file, columns
        self._kinds = kinds(feed, columns)
        self.names = list(columns)

    def set_header(self, header: bytes) -> None:
        """Take the names of the columns from the header. Raises BadData where they are not those of the feed."""
        try:
            self.names = next(csv.reader([header.decode().rstrip("\r\n")], delimiter=self.feed.dialect.delimiter), [])
        except csv.Error as error:
            raise self.refusal("a first line with the names of columns", str(error), LAND_AGAIN, line=1) from error
        is_one_name = len(self.names) == 1 and not _SEPARATORS.isdisjoint(self.names[0])
        add = self._or_set("separator", _WITH_THE_COLUMN) if is_one_name else _WITH_THE_COLUMN
        check_names(self._where, self.file, self.names, self._columns, add)

    def values(self, block: Block, texts: pa.RecordBatch) -> pa.RecordBatch:
        """The values of a block's texts. Raises BadData."""
        import pyarrow as pa

        found = []
        for name, kind in self._kinds.items():
            try:
                found.append(converted(texts[name], kind))
            except NoValue as none:
                raise self._no_value(block, name, kind, none, len(texts[name])) from none
        return pa.RecordBatch.from_arrays(found, names=list(self._kinds))

    def fitting(self, texts: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Array]:
        """The values of texts as far as they are values, and of each row in words which are not."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = []
        wrong: dict[int, list[str]] = {}
        for name, kind in self._kinds.items():
            values, misfits = fitting(texts[name], kind)
            found.append(values)
            for place in pc.indices_nonzero(misfits).to_pylist() if misfits is not None else ():
                text = shortened(repr(texts[name][place].as_py()))
                wrong.setdefault(place, []).append(f"{name!r} is {text}, not {kind.words}")
        said: list[str | None] = [None] * texts.num_rows
        for place, of_row in wrong.items():
            said[place] = BETWEEN.join(of_row)
        return pa.RecordBatch.from_arrays(found, names=list(self._kinds)), pa.array(said, pa.string())

    def texts(self, block: Block) -> pa.RecordBatch:
        """The declared columns of a block as texts. Raises BadData."""
        import pyarrow as pa
        import pyarrow.csv as pv

        odd: list[Any] = []

        def refuse(row: Any) -> str:
            odd.append(row)
            return "error"

        places = {name: str(self.names.index(name)) for name in self._columns}
        try:
            table = pv.read_csv(
                pa.BufferReader(_BOM + block.text if block.text.startswith(_BOM) else block.text),
                pv.ReadOptions(
                    column_names=[str(place) for place in range(len(self.names))],
                    block_size=len(_BOM) + len(block.text) + 1,
                    use_threads=False,
                ),
                pv.ParseOptions(
                    delimiter=self.feed.dialect.delimiter,
                    newlines_in_values=b'"' in block.text,
                    ignore_empty_lines=len(self.names) > 1,
                    invalid_row_handler=refuse,
                ),
                pv.ConvertOptions(
                    column_types=dict.fromkeys(places.values(), pa.string()),
                    include_columns=list(places.values()),
                    null_values=[self.feed.dialect.null_text],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if not odd:
                raise self.refusal("a CSV file", str(error).splitlines()[0]) from error
            raise self._of_another_width(block, odd[0]) from error
        texts = [table[place].combine_chunks() for place in places.values()]
        return pa.RecordBatch.from_arrays(texts, names=list(places))

    def _of_another_width(self, block: Block, odd: Any) -> BadData:
        return self.refusal(
            f"{odd.expected_columns} values, as {'the header has' if self.feed.dialect.header else 'columns are declared'}",
            f"{odd.actual_columns} in {shortened(repr(odd.text))}",
            self._or_set("separator"),
            *self._row(block, odd.number - 1),
        )

    def _no_value(self, block: Block, name: str, kind: Kind, none: NoValue, rows: int) -> BadData:
        more = f", and {none.many - 1:,} more in rows {block.rows + 1:,} to {block.rows + rows:,}"
        return self.refusal(
            f"{self._columns[name]}: {kind.words}",
            shortened(repr(none.text)) + (more if none.many > 1 else ""),
            self._or_set(kind.setting) if kind.setting else LAND_AGAIN,
            *self._row(block, none.place),
            name,
        )

    def _row(self, block: Block, place: int) -> tuple[int, int]:
        """The row and the line of a place among a block's rows."""
        start = int(row_starts(block.text, len(self.names) == 1)[place])
        return block.rows + place + 1, block.lines + block.text[:start].count(b"\n") + 1

    def refused(self, broken: BrokenText) -> BadData:
        """The error for text that breaks a rule."""
        name = self.names[broken.column] if broken.row and broken.column < len(self.names) else ""
        if isinstance(broken, Undecodable):
            wanted, next_step = f"text in {self.feed.dialect.encoding}", self._or_set("encoding")
            return self.refusal(wanted, f"the bytes {broken.found}", next_step, broken.row, broken.line, name)
        return self.refusal(broken.wanted, broken.found, LAND_AGAIN, broken.row, broken.line, name)

    def _or_set(self, settings: str, next_step: str = LAND_AGAIN) -> str:
        return f"{next_step}, or say how it is written: [{self.feed.section}] {settings}"

    @property
    def _where(self) -> str:
        return f"raw feed {self.feed.name}: {self.file}"

    def refusal(
        self, wanted: str, found: str, next_step: str = LAND_AGAIN, row: int = 0, line: int = 0, name: str = ""
    ) -> BadData:
        """The error for a place in the file. ``row`` 0 is the header, ``line`` 0 is the file as a whole."""
        place = f", row {row:,} (line {line:,})" if row else f", line {line:,}" if line else ""
        column = f", column {name!r}" if name else ""
        return BadData(f"{self._where}{place}{column}", wanted, found, next_step, self.file)
