"""Which values of the configuration may be printed, and how. A password or a key must reach no terminal and no log."""

from __future__ import annotations

import json
import re

from tasks.config.sections import SECTIONS

NOT_SHOWN = "one that is not shown: it may hold a secret"
#: Luigi's sections that change what a run does and hold no secrets. Its others, such as [smtp], may hold one.
OF_LUIGI = ("core", "worker", "scheduler", "retcode", "RangeDaily")
_OF_TARGETS = dict(SECTIONS["target"].get_params())
_NAME_OF_A_PASSWORD = re.compile(r"(password|passwd|secret|token)$", re.IGNORECASE)
_IN_A_URL = re.compile(r"//[^/@\s]*:[^/@\s]*@")
_PASSWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&]+)", re.IGNORECASE)


def may_be_shown(section: str, key: str) -> bool:
    """Whether a value may be printed, but for the password of a URL. ``[spark] conf`` may hold keys of S3, ``[core]`` the
    password of Luigi's mail server, by an older name, ``[target.NAME]`` whatever a class of an adopter takes, and
    ``[notify] urls`` the key of a service, before it is refused."""
    family = section.partition(".")[0]
    known = family in OF_LUIGI or (family in SECTIONS and (family != "target" or key in _OF_TARGETS))
    return known and not is_conf(section, key) and "password" not in key and (family, key) != ("notify", "urls")


def shown(section: str, key: str, value: str) -> str:
    """A value as it may be printed. Of ``[spark] conf`` only the names are shown."""
    if may_be_shown(section, key):
        return without_password(value)
    if not is_conf(section, key):
        return "(not shown)"
    try:
        conf = json.loads(value)
    except ValueError:
        conf = None
    return f"{', '.join(conf)} (values not shown)" if isinstance(conf, dict) else "(not shown: it is no JSON object)"


def is_conf(section: str, key: str) -> bool:
    """Whether a place is ``[spark] conf``, for all use cases or for one."""
    return (section.partition(".")[0], key) == ("spark", "conf")


def without_password(url: str) -> str:
    """A value without the user and the password of a URL, which stand between its slashes and its @, and without the
    password of a connection string, which may stand in quotes."""
    return _PASSWORD.sub(r"\1...", re.sub(r"//[^/\s]*@", "//", url))


def holds_password(key: str, value: str) -> bool:
    """Whether a setting of a target is a password by its name, or has one in it."""
    return bool(_NAME_OF_A_PASSWORD.search(key) or _PASSWORD.search(value) or _IN_A_URL.search(value))
