"""How a value of the configuration must be written: one rule for text, numbers and dates, wherever the value is set.

The format of luigi.cfg knows no quotes around a value and no comment behind it. Both become part of the value, and then
it is a path that does not exist, or a flag that never lands.
"""

from __future__ import annotations

import re
import unicodedata

from spark_lib.errors import ConfigurationError
from tasks.config.shown import NOT_SHOWN, without_password

_QUOTES = "\"'`´“”„‟‘’‚‛«»‹›「」『』＂＇"
_COMMENT = re.compile(r"(^|\s)[#;]|\s//(\s|$)")
_COMMENT_BEHIND_JSON = re.compile(r"^[#;]|[}\]]\s*(#|;|//)[^}\]]*$")
#: The places of ``[notify] urls``, whose addresses may be keys: in a file, and by --set or by Luigi's option.
_ADDRESSES = re.compile(r"notify\b.*\burls$")
#: These begin a comment. Alone they are values, such as the separator of a CSV file.
_SIGNS = ("#", ";")
#: These are invisible, but between the letters of some scripts they belong to the spelling.
_JOINERS = "\u200c\u200d"
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")


def check(place: str, text: str, json: bool = False) -> None:
    """Raise ConfigurationError for a value with quotes around it, a comment behind it, a line break, an invisible
    character, or white space around it. ``place`` names it. With ``json`` the value is JSON: it may have all of these
    inside, and it is not shown, because it may hold a secret.
    """
    error = refusal(place, text, json)
    if error:
        raise error


def refusal(place: str, text: str, json: bool = False) -> ConfigurationError | None:
    """The error of ``check``, or None."""
    found = NOT_SHOWN if json or _ADDRESSES.search(place) else repr(without_password(text))
    flaws = list(_flaws(place, text, json))
    if not flaws:
        return None
    wanted = " and ".join(flaw for flaw, _ in flaws)
    return ConfigurationError(place, f"a value {wanted}", found, ", and ".join(step for _, step in flaws))


def comment(place: str, text: str) -> ConfigurationError | None:
    """The error for a number or a date that has a comment right behind it; None for other faults."""
    if not re.search(r"[#;]|//", text):
        return None
    return ConfigurationError(
        place, "a value without a comment behind it", repr(without_password(text)), _without_comment(place)
    )


def _flaws(place: str, text: str, json: bool) -> list[tuple[str, str]]:
    bare = text.strip()
    if not bare:
        return []
    flaws = []
    if bare in _SIGNS or place.endswith("null_text"):  # null_text may be any text, such as #N/A
        return []
    comment = (_COMMENT_BEHIND_JSON if json else _COMMENT).search(bare)
    value = bare[: comment.start()].strip() if comment and not json else bare
    if value and (value[0] in _QUOTES or value[-1] in _QUOTES):
        flaws.append(("without quotes around it", "write it without quotes"))
    if comment:
        flaws.append(("without a comment behind it", _without_comment(place)))
    if flaws or json:
        return flaws
    if "\n" in text or "\r" in text:
        return [("on one line", "begin every section and every key at the beginning of its line")]
    invisible = next((character for character in bare if _is_invisible(character, bare)), None)
    if invisible:
        return [(f"without the invisible character U+{ord(invisible):04X}", "type it anew")]
    return [("without white space around it", "write it without")] if bare != text else []


def _without_comment(place: str) -> str:
    return "put the comment on its own line" if place.startswith("[") else "leave the comment out"


def _is_invisible(character: str, text: str) -> bool:
    if character in _JOINERS:
        return character in (text[0], text[-1])
    return unicodedata.category(character) in _INVISIBLE
