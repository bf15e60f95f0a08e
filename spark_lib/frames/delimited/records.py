"""Cuts the text of a CSV file into blocks of whole records, by the rules of RFC 4180.

A value is quoted from its first character to its last, or it has no quotes. A quote inside a quoted value is doubled. A
record ends with LF or CR LF outside of quotes. Text that breaks a rule is refused with its place, because every reader
would have to guess its meaning. The checks work on numpy arrays of the places of quotes, so they cost little where
there are few quotes.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

#: Bytes that are read at once, and the longest record, which memory has to hold.
BLOCK_BYTES = 2**22
LONGEST_RECORD = 2**26
_QUOTE, _LF, _CR = b'"'[0], b"\n"[0], b"\r"[0]


@dataclass(frozen=True)
class Block:
    """Whole records in UTF-8. ``rows`` and ``lines`` are the numbers of rows and lines of the file before them."""

    text: bytes
    rows: int
    lines: int


class BrokenText(Exception):
    """Text that breaks a rule: what was ``wanted``, what was ``found``, and its place. ``row`` (of values) and ``line``
    count from 1, ``column`` counts from 0."""

    def __init__(self, wanted: str, found: str, row: int, line: int, column: int) -> None:
        super().__init__(wanted, found, row, line, column)
        self.wanted, self.found, self.row, self.line, self.column = wanted, found, row, line, column


class Undecodable(BrokenText):
    """Bytes that are not text in the declared encoding."""


class Records:
    """The records of a file, in order. Every method raises BrokenText."""

    def __init__(self, file: BinaryIO, encoding: str, separator: str, header: bool) -> None:
        self._place = _Place(ord(separator), rows=-1 if header else 0)
        self._texts = _checked(_texts(file, encoding), self._place)
        self._head = self._rest = b""

    def header(self) -> bytes:
        """The first record. Where the file has a header, call this before ``blocks``."""
        first = next(self._texts, b"")
        ends = _ends(first)
        begin = int(ends[0]) + 1 if len(ends) else len(first)
        self._head, self._rest = first[:begin], first[begin:]
        self._place.rows = 0
        return self._head

    def blocks(self, one_column: bool) -> Iterator[Block]:
        """The rows, block by block. With ``one_column`` an empty line is a row, because a row of one null looks like
        that.

        The caller tells the number of rows of each block to ``pass_over`` before it takes the next one.
        """
        self._place.one_column = one_column
        if self._rest:
            yield Block(self._rest, 0, self._head.count(b"\n"))
        for text in self._texts:
            yield Block(text, self._place.rows, self._place.lines)

    def pass_over(self, rows: int) -> None:
        """Add the rows of a block, as a parser has counted them."""
        self._place.rows += rows


def row_starts(text: bytes, one_column: bool) -> np.ndarray:
    """Where the rows of whole records begin, int64 [n]."""
    ends = _ends(text)
    starts = np.concatenate([[0], ends + 1]).astype(np.intp)
    stops = np.concatenate([ends, [len(text)]])
    if starts[-1] == len(text):  # what follows the last line end is no record
        starts, stops = starts[:-1], stops[:-1]
    if one_column:
        return np.asarray(starts)
    length = stops - starts
    first = np.frombuffer(text, np.uint8)[np.minimum(starts, len(text) - 1)] if len(text) else starts
    empty = (length == 0) | ((length == 1) & (first == _CR))
    return np.asarray(starts[~empty])


def _texts(file: BinaryIO, encoding: str) -> Iterator[tuple[bytes, str]]:
    """Yield the file block by block, in UTF-8 and without a byte order mark. The second text shows the bytes after the
    block that cannot be decoded; it is empty where there are none."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    begun = False
    while True:
        before = decoder.getstate()
        read = file.read(BLOCK_BYTES)
        broken = ""
        try:
            text = decoder.decode(read, final=not read)
            text.encode()
        except UnicodeEncodeError as error:
            text, broken = text[: error.start], repr(text[error.start : error.end])
        except UnicodeDecodeError as error:
            broken = repr(error.object[error.start : error.end])[2:-1]
            decoder.setstate(before)
            text = decoder.decode(read[: max(0, error.start - len(before[0]))])
        except UnicodeError:  # UTF-16 or UTF-32 without the mark that says which byte comes first
            text, broken = "", repr(read[:4])[2:-1]
        if text and not begun:
            text, begun = text.removeprefix("\ufeff"), True
        if text or broken:
            yield text.encode(), broken
        if broken or not read:
            return


def _checked(texts: Iterator[tuple[bytes, str]], place: _Place) -> Iterator[bytes]:
    """Yield the same text, cut after line ends outside of quotes. ``place`` says where the last yielded piece begins.
    Raises BrokenText."""
    held = b""
    for text, undecodable in texts:
        held += text
        end = _last_end(held)
        whole, held = held[:end], held[end:]
        if whole:
            _check(whole, place)
            yield whole
            place.lines += whole.count(b"\n")
        if undecodable:
            raise place.undecodable(held, undecodable)
        if len(held) > LONGEST_RECORD:
            wanted = (
                f"records of at most {LONGEST_RECORD // 2**20} MiB, with a closing quote where there is an opening one"
            )
            raise place.broken(held, int(_quotes(held)[-1]) if b'"' in held else 0, wanted)
    if held:
        _check(held, place)
        yield held + b"\n"  # every record then ends with a line end, so no parser needs a rule for the end of a file


class _Place:
    """The place of a text in the file: how many ``rows`` (-1 before a header) and ``lines`` come before it."""

    def __init__(self, separator: int, rows: int) -> None:
        self.separator = separator
        self.rows = rows
        self.lines = 0
        self.one_column = False

    def broken(self, text: bytes, at: int, wanted: str) -> BrokenText:
        """The error for a rule that the record around ``text[at]`` breaks."""
        end = text.find(b"\n", at)
        begin = self._record(text, at)
        found = repr(text[begin : end if end >= 0 else len(text)].decode(errors="replace").rstrip("\r"))
        return BrokenText(wanted, shortened(found), *self._of(text, at))

    def undecodable(self, text: bytes, found: str) -> Undecodable:
        """The error for bytes after ``text`` that cannot be decoded."""
        return Undecodable("", found, *self._of(text, len(text)))

    def _of(self, text: bytes, at: int) -> tuple[int, int, int]:
        begin = self._record(text, at)
        before = np.frombuffer(text[begin:at], np.uint8)
        outside = np.cumsum(before == _QUOTE) % 2 == 0
        column = int((outside & (before == self.separator)).sum())
        rows = len(row_starts(text[:begin], self.one_column))
        return self.rows + rows + 1, self.lines + text[:at].count(b"\n") + 1, column

    @staticmethod
    def _record(text: bytes, at: int) -> int:
        """Where the record around a place begins."""
        ends = _ends(text[:at])
        return int(ends[-1]) + 1 if len(ends) else 0


def shortened(text: str, most: int = 80) -> str:
    """A text that fits into a message."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _quotes(text: bytes) -> np.ndarray:
    return np.flatnonzero(np.frombuffer(text, np.uint8) == _QUOTE)


def _ends(text: bytes) -> np.ndarray:
    """The places of line ends outside of quotes. The number of quotes before each of them is even."""
    found = np.flatnonzero(np.frombuffer(text, np.uint8) == _LF)
    quotes = _quotes(text)
    return np.asarray(found[np.searchsorted(quotes, found) % 2 == 0]) if len(quotes) else found


def _last_end(text: bytes) -> int:
    """Where the last whole record ends; 0 where none does."""
    quotes = _quotes(text)
    end = text.rfind(b"\n")
    while end >= 0:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            return end + 1
        end = text.rfind(b"\n", 0, quotes[before - 1])  # go on before the quote that opens around it
    return 0


def _check(text: bytes, place: _Place) -> None:
    """Raise BrokenText for the first quote or carriage return that no rule allows. ``text`` holds whole records."""
    data = np.frombuffer(text, np.uint8)
    quotes = _quotes(text)
    at = np.concatenate([_broken_quotes(data, quotes, place.separator), _lone_returns(text, data, quotes)])
    if len(at):
        first = int(at.min())
        if data[first] == _CR:
            raise place.broken(text, first, "lines that end with LF or CR LF")
        raise place.broken(text, first, "a value that is quoted as a whole, its own quotes doubled, or has no quotes")
    if len(quotes) % 2:
        raise place.broken(text, int(quotes[-1]), "a closing quote for each opening one")


def _broken_quotes(data: np.ndarray, quotes: np.ndarray, separator: int) -> np.ndarray:
    """The places of opening quotes in the middle of a value, and of closing quotes before its end."""
    if not len(quotes):
        return quotes
    opening, closing = quotes[::2], quotes[1::2]
    before = np.where(opening > 0, data[opening - 1], _LF)
    good = (before == separator) | (before == _LF) | (before == _QUOTE)
    last = len(data) - 1
    after = np.where(closing < last, data[np.minimum(closing + 1, last)], _LF)
    then = np.where(closing + 1 < last, data[np.minimum(closing + 2, last)], 0)
    well = (after == separator) | (after == _LF) | (after == _QUOTE) | ((after == _CR) & (then == _LF))
    return np.concatenate([opening[~good], closing[~well]])


def _lone_returns(text: bytes, data: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    """The places of carriage returns outside of quotes that no line feed follows."""
    if b"\r" not in text:
        return np.zeros(0, np.int64)
    found = np.flatnonzero(data == _CR)
    last = len(data) - 1
    found = found[(found == last) | (data[np.minimum(found + 1, last)] != _LF)]
    return np.asarray(found[np.searchsorted(quotes, found) % 2 == 0])
