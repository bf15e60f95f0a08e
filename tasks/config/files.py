"""The configuration files of Luigi: one that is there is read whole, or refused by name.

Luigi itself passes over a file that it may not open, and goes on with the defaults. A file that it cannot parse ends it
with a traceback while it is imported. This module does not import Luigi, so that it can look at the files before Luigi
does.
"""

from __future__ import annotations

import codecs
import configparser
import errno
import io
import locale
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from spark_lib.errors import ConfigurationError

#: Where Luigi looks by itself; a later file wins.
PLACES = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")
#: The names that Luigi has for its one parser of the format of luigi.cfg.
FORMATS = ("cfg", "conf", "ini")
#: The files that Luigi reads in place of luigi.cfg where LUIGI_CONFIG_PARSER says toml.
TOML_PLACES = ("/etc/luigi/luigi.toml", "luigi.toml")

_WANTED = "a configuration file that can be read"
_MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def asked_for() -> str:
    """The file that LUIGI_CONFIG_PATH names; empty where it names none."""
    return os.environ.get("LUIGI_CONFIG_PATH", "")


def check(paths: Iterable[str]) -> None:
    """Raise ConfigurationError for the first thing that ``refusals`` finds."""
    for error in refusals(paths):
        raise error


def refusals(paths: Iterable[str]) -> Iterator[ConfigurationError]:
    """Yield an error for each variable that chooses files badly, and for each file of ``paths`` that is not
    readable."""
    yield from _of_format()
    yield from _of_toml_files()
    yield from _of_path()
    for path in dict.fromkeys(map(_absolute, [*paths, *_asked_for_as_cfg()])):
        error = refusal(path)
        if error:
            yield error


def check_before_luigi() -> None:
    """Raise ConfigurationError for a file with which Luigi cannot be imported: one that it would open and not
    understand, or a pipe, for which it would wait. A file that Luigi passes over is left to ``check``, so that
    ``daystone doctor`` can show the rest as well.
    """
    for refused in _of_format():
        raise refused
    for path in [*PLACES, *_asked_for_as_cfg()]:
        is_a_pipe = path in PLACES and os.path.exists(path) and not os.path.isdir(path) and not os.path.isfile(path)
        error = refusal(path) if is_a_pipe or _can_be_opened(path) else None
        if error:
            raise error


def refusal(path: str, what: str = "") -> ConfigurationError | None:
    """The error for a file that cannot be read whole. None where it can be, and where there is no file. ``what`` names
    the file in the error.
    """
    where = what or _absolute(path)
    body, unreadable = _read(where, path)
    return unreadable if body is None else _of_content(where, path, body)


def readable(paths: Iterable[str]) -> list[str]:
    """The files of ``paths`` that are there and can be read whole, in their order."""
    return [_absolute(path) for path in paths if os.path.isfile(path) and refusal(path) is None]


def _read(where: str, path: str) -> tuple[bytes | None, ConfigurationError | None]:
    """The bytes of a file, or the error that says why it cannot be read. Both are None where there is no file."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None, None
    except OSError as error:
        return None, _unreadable(where, error)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None, _no_file(where, path)
        return Path(path).read_bytes(), None
    except FileNotFoundError:
        found = f"a link to {os.readlink(path)}, which is not there"
        return None, ConfigurationError(where, _WANTED, found, "correct or remove the link")
    except OSError as error:
        return None, _unreadable(where, error)


def _of_format() -> Iterator[ConfigurationError]:
    """Refuse variables that choose another format than luigi.cfg's. Luigi itself takes its default in place of a parser
    that it does not know, with a warning only.
    """
    parser = os.environ.get("LUIGI_CONFIG_PARSER")
    if parser is not None and parser not in FORMATS:
        found = "toml, which Daystone does not read" if parser == "toml" else repr(parser)
        yield ConfigurationError(
            "LUIGI_CONFIG_PARSER",
            "cfg, the format of luigi.cfg",
            found,
            "unset it, and write the values into luigi.cfg",
        )
    path = asked_for()
    if path and not _is_cfg(path):
        found = f"{path}, which Luigi takes for TOML"
        yield ConfigurationError(
            "LUIGI_CONFIG_PATH", "a file in the format of luigi.cfg", found, "write the values into a file named *.cfg"
        )


def _of_path() -> Iterator[ConfigurationError]:
    """Refuse a LUIGI_CONFIG_PATH that names no file. Luigi itself would go on with the defaults, and build in another
    lake.
    """
    for path in _asked_for_as_cfg():
        if not os.path.lexists(path) and refusal(path) is None:
            yield ConfigurationError(
                "LUIGI_CONFIG_PATH", "a file", f"{path}, which is not there", "correct or unset it"
            )


def _of_toml_files() -> Iterator[ConfigurationError]:
    """Refuse a luigi.toml. Whoever wrote it expects that it is read, and Luigi reads it only where LUIGI_CONFIG_PARSER
    says so.
    """
    for path in TOML_PLACES if "LUIGI_CONFIG_PARSER" not in os.environ else ():
        if os.path.lexists(path):
            yield ConfigurationError(
                _absolute(path),
                "luigi.cfg, the only format that is read",
                "a file of TOML",
                "write its values into luigi.cfg and remove it, or set LUIGI_CONFIG_PARSER=cfg to leave it unread",
            )


def _of_content(where: str, path: str, body: bytes) -> ConfigurationError | None:
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            found = f"a byte order mark of {encoding} at its beginning"
            return ConfigurationError(where, _WANTED, found, "save it as UTF-8 without a byte order mark")
    if b"\0" in body:
        line = body[: body.index(b"\0")].count(b"\n") + 1
        return ConfigurationError(where, _WANTED, f"a null byte in line {line}", "save it as text in UTF-8")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        found = f"the byte 0x{body[error.start]:02x} in line {line}, which is no UTF-8"
        return ConfigurationError(where, _WANTED, found, "save it as UTF-8")
    encoding = locale.getpreferredencoding(False)
    if body.decode(encoding, "replace") != text:
        found = f"characters beyond ASCII, which Luigi would read as {encoding}"
        return ConfigurationError(where, _WANTED, found, "set PYTHONUTF8=1, or a locale of UTF-8 (LC_ALL=C.UTF-8)")
    return _of_syntax(where, path, text)


def _of_syntax(where: str, path: str, text: str) -> ConfigurationError | None:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as configparser documents it
    try:
        parser.read_file(io.StringIO(text, newline=None), source=path)  # any line ends will do, as in an opened file
    except configparser.Error as error:
        return ConfigurationError(where, _WANTED, _fault(error), "correct it")
    for section in parser.sections():
        if section != section.strip("\"'` \t") or set("[]") & set(section):
            bare = section.partition("]")[0].strip("\"'` \t[")
            found = f"the section {section!r}"
            return ConfigurationError(
                where, "the name of a section alone in its brackets", found, f"write [{bare}] on a line of its own"
            )
    return None


def _fault(error: configparser.Error) -> str:
    """What cannot be understood, by its line. The line itself is not shown: a value that goes on in it may be a secret."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"no section header before line {error.lineno}"
    if isinstance(error, configparser.ParsingError):
        return f"no key with a value in line {', '.join(str(line) for line, _ in error.errors)}"
    return " ".join(str(error).split())


def _unreadable(where: str, error: OSError) -> ConfigurationError:
    if error.errno in (errno.EACCES, errno.EPERM):
        next_step = "give this user the right to read it, and to enter the directories above it"
    else:
        next_step = "correct or remove it"
    return ConfigurationError(where, _WANTED, error.strerror or str(error), next_step)


def _no_file(where: str, path: str) -> ConfigurationError:
    found = "a directory" if os.path.isdir(path) else "what is no file, but a pipe, a socket or a device"
    return ConfigurationError(where, _WANTED, found, "put a file there, or remove it")


def _asked_for_as_cfg() -> list[str]:
    return [asked_for()] if asked_for() and _is_cfg(asked_for()) else []


def _is_cfg(path: str) -> bool:
    """Whether Luigi reads a file in the format of luigi.cfg. It chooses a parser by the end of the file's name."""
    return os.path.splitext(path)[1] != ".toml"


def _can_be_opened(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.R_OK)


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:  # the working directory is gone
        return path
