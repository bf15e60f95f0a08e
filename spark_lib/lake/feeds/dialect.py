"""The dialect of a CSV feed: how it writes its values. ``[raw.<feed>]`` declares it, and it is checked before any file
is read.

``spark_lib.frames.delimited`` reads files by it. docs/feeds.md shows each option with an example.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from itertools import pairwise

from spark_lib.errors import ConfigurationError

#: Words for separators that a configuration file cannot hold as they are.
_NAMED = {"tab": "\t", r"\t": "\t", "space": " "}
#: Python counts these as text encodings, but they are ways to escape text in other programs.
_NO_ENCODINGS = {"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined"}
_HELD = r"string|boolean|tinyint|smallint|int|bigint|float|double|decimal\(\d+,\d+\)|date|timestamp|timestamp_ntz"
_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
#: The parts of a date or time: a regular expression of each, by its sign after ``%``; ``-`` stands for no leading zero.
PARTS = {
    "Y": _YEAR,
    "m": r"(?:0[1-9]|1[0-2])",
    "-m": r"(?:1[0-2]|[1-9])",
    "d": r"(?:0[1-9]|[12]\d|3[01])",
    "-d": r"(?:[12]\d|3[01]|[1-9])",
    "H": r"(?:[01]\d|2[0-3])",
    "-H": r"(?:1\d|2[0-3]|\d)",
    "M": r"[0-5]\d",
    "S": r"[0-5]\d",
    "f": r"\d{1,6}",
    "z": r"(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)",
}
_DATE = ("Y", "m", "d")
#: Each needs the one before it.
_TIME = ("H", "M", "S", "f")


@dataclass(frozen=True)
class Dialect:
    """The options of one CSV feed. Quotes are ``"``, doubled inside of a quoted value; a line ends with LF or CR LF.

    ``null_text`` without quotes is null, and nothing else is. ``date_pattern`` and ``timestamp_pattern`` consist of the
    signs in ``PARTS`` (empty: ISO 8601). ``timezone`` is the time zone of timestamps that have none (empty: each must
    have one).
    """

    separator: str = ","
    decimal_mark: str = "."
    encoding: str = "utf-8"
    null_text: str = ""
    header: bool = True
    date_pattern: str = ""
    timestamp_pattern: str = ""
    timezone: str = ""

    @property
    def delimiter(self) -> str:
        """The separator as one character."""
        return _NAMED.get(self.separator, self.separator)

    def check(self, section: str) -> None:
        """Raise ConfigurationError for the first option of ``section`` by which files cannot be read."""
        sign = self.delimiter
        if len(sign) != 1 or not sign.isascii() or sign.isalnum() or sign in "\"'\r\n.-+\\\0":
            raise _refused(f"{section} separator", "one sign, as , ; | or tab", repr(self.separator))
        if self.decimal_mark not in (".", ","):
            raise _refused(f"{section} decimal_mark", "one of . and ,", repr(self.decimal_mark))
        if re.search('["\r\n]', self.null_text) or sign in self.null_text:
            wanted = "a text without quotes, line breaks and the separator"
            raise _refused(f"{section} null_text", wanted, repr(self.null_text))
        if not _is_encoding(self.encoding):
            wanted = "an encoding of text that Python knows, as utf-8, latin-1, cp1252 or utf-16"
            raise _refused(f"{section} encoding", wanted, repr(self.encoding))
        if self.date_pattern:
            _check_pattern(f"{section} date_pattern", self.date_pattern, _DATE)
        if self.timestamp_pattern:
            _check_pattern(f"{section} timestamp_pattern", self.timestamp_pattern, (*_DATE, *_TIME, "z"))
        if self.timezone and not _is_timezone(self.timezone):
            raise _refused(f"{section} timezone", "a time zone's name, as UTC or Europe/Berlin", repr(self.timezone))


#: The dialect of a feed that declares no option: commas, as in RFC 4180, and UTF-8.
RFC_4180 = Dialect()


def is_held(kind: str) -> bool:
    """Whether a CSV file can hold values of a type, which is named as Spark names it."""
    return re.fullmatch(_HELD, kind) is not None


def pieces(pattern: str) -> list[tuple[str, str]]:
    """The parts of a pattern and the texts between them, in order: ``%Y-%m`` is ``("Y", "")``, ``("", "-")``,
    ``("m", "")``. A part is what follows the percent sign."""
    found = []
    for part, text in re.findall(r"%(-?[A-Za-z])|([^%]+|%.?)", pattern):
        found.append((part, text))
    return found


def _check_pattern(setting: str, pattern: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigurationError for a pattern that does not say exactly one date, or by which a text can be read in two
    ways."""
    signs = [f"%{sign}" for sign in PARTS if sign.lstrip("-") in allowed]
    found = pieces(pattern)
    parts = [part for part, _ in found if part]
    for part, text in found:
        if (part and f"%{part}" not in signs) or "%" in text:
            raise _refused(
                setting, f"a pattern of {' '.join(signs)}", f"{'%' + part if part else text!r} in {pattern!r}"
            )
        if text and not re.fullmatch(r"T|[^\w\"]+", text):
            raise _refused(setting, "T, blanks or signs like - . / : between the parts", f"{text!r} in {pattern!r}")
    bare = [part.lstrip("-") for part in parts]
    for part in _DATE:
        if part not in bare:
            raise _refused(setting, f"a pattern with %{part}", f"none in {pattern!r}")
    for part in sorted(set(bare)):
        if bare.count(part) > 1:
            raise _refused(setting, f"each part once, %{part} too", f"it {bare.count(part)} times in {pattern!r}")
    for before, part in pairwise(_TIME):
        if part in bare and before not in bare:
            raise _refused(setting, f"%{before} where %{part} is", f"none in {pattern!r}")
    for (one, _), (other, _) in pairwise(found):
        if one and other not in ("", "z") and (one.startswith("-") or other.startswith("-") or one == "f"):
            raise _refused(setting, f"a sign between %{one} and %{other}, whose widths vary", repr(pattern))


def _is_encoding(name: str) -> bool:
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return bool(getattr(found, "_is_text_encoding", True)) and found.name.replace("-", "_") not in _NO_ENCODINGS


def _is_timezone(name: str) -> bool:
    """Whether a name is a zone of the tz database. ``localtime`` is not, because it differs from machine to machine."""
    if name in ("localtime", "Factory", "posixrules") or name.startswith(("right/", "posix/")):
        return False
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _refused(where: str, wanted: str, found: str) -> ConfigurationError:
    return ConfigurationError(where, wanted, found, "correct it (docs/feeds.md has the options)")
