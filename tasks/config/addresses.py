"""The addresses that are told what is wrong, as Apprise writes them: ``mailto://mail.example?from=..&to=..``,
``jsons://hooks.example/daystone``, ``slack://TOKEN_A/TOKEN_B/TOKEN_C``.

Most of them hold a password, or are a key themselves. These come from the environment or from a private file, and never
from ``luigi.cfg`` or a command line.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from spark_lib.errors import ConfigurationError

if TYPE_CHECKING:
    from tasks.config.sections import notify

VARIABLE = "DAYSTONE_NOTIFY_URLS"
_ELSEWHERE = f"put it into the environment's {VARIABLE}, or into a private file that [notify] urls_file names"
#: The schemes whose addresses need no key: a server of mail, or of one's own.
_PLAIN = ("mailto", "mailtos", "json", "jsons", "xml", "xmls", "form", "forms")
#: What an address of these may say besides its host. Everything else, as a header +Authorization=, may be a secret.
_PLAIN_QUERY = ("from", "to", "cc", "bcc", "name", "mode", "smtp", "format", "method", "rto", "cto", "verify", "reply")
#: A part of a path that may be a key, as webhooks have them. It is compiled when there is an address to look at.
_KEY = r"(?=[^/]*\d)(?=[^/]*[A-Za-z])[A-Za-z0-9_~.=-]{16,}"


def is_configured(values: notify) -> bool:
    """Whether anybody is to be told; no file is looked at."""
    return bool(values.urls or values.urls_file or os.environ.get(VARIABLE, "").strip())


def of(values: notify, said_by: str) -> list[str]:
    """All addresses, those of the file last, each once. They may hold secrets. Raises ConfigurationError for a file that
    cannot be read, or that others may read, too."""
    found = [*values.urls.split(), *os.environ.get(VARIABLE, "").split()]
    file = values.urls_file
    if file:
        found += _in_file(os.path.expanduser(file), said_by)
    return list(dict.fromkeys(found))


def scheme_of(url: str) -> str:
    """The kind of an address, which is all of it that may be shown: the host of many is a key."""
    scheme, colon, _ = url.partition("://")
    return scheme.lower() if colon and re.fullmatch(r"[A-Za-z0-9]+", scheme) else "no scheme"


def check(urls: Iterable[str], place: str) -> None:
    """Raise ConfigurationError, which names ``place`` and shows no address, for one that is none or may hold a secret."""
    for number, url in enumerate(urls, start=1):
        scheme = scheme_of(url)
        if scheme == "no scheme":
            found = f"address {number} without ://"
            raise ConfigurationError(
                place, "addresses like mailto://mail.example?to=me@mail.example", found, "correct it"
            )
        if may_hold_secret(url):
            found = f"address {number} ({scheme}), which is or may hold a secret"
            raise ConfigurationError(place, "addresses without a password, a token or a key", found, _ELSEWHERE)


def may_hold_secret(url: str) -> bool:
    """Whether an address is, or may have in it, a password or a key. It is not known to be free of one where its scheme is
    that of a service."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return (
        parts.scheme not in _PLAIN
        or parts.password is not None
        or any(name.lower() not in _PLAIN_QUERY for name, _ in parse_qsl(parts.query, keep_blank_values=True))
        or bool(parts.fragment)
        or any(re.fullmatch(_KEY, part) for part in parts.path.split("/"))
    )


def _in_file(path: str, place: str) -> list[str]:
    """The lines of a file that are neither empty nor begin with ``#``; there has to be one."""
    wanted = "a file that its owner alone may read (chmod 600)"
    try:
        with open(path, encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigurationError(place, wanted, f"{path} with mode {mode:03o}", f"chmod 600 {path}")
            lines = [line.strip() for line in file]
    except OSError as error:
        raise ConfigurationError(place, wanted, f"{path}: {error.strerror}", "correct it") from error
    except UnicodeDecodeError:
        raise ConfigurationError(place, "a file in UTF-8", f"{path}, which is none", "save it as UTF-8") from None
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise ConfigurationError(
            place, "a file with an address a line", f"{path} without one", "correct it, or unset it"
        )
    return found
