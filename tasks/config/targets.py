"""The targets of publication by their names: each is a section ``[target.<name>]`` of the configuration.

Nothing here needs a driver of a database before a target of its kind is used.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from luigi.configuration import get_config

from spark_lib.errors import ConfigurationError, did_you_mean
from tasks.config import resolve
from tasks.config.sections import target as section_of_targets
from tasks.config.shown import NOT_SHOWN, holds_password

if TYPE_CHECKING:
    from spark_lib.lake.stores.s3_client import Connection
    from spark_lib.targets import Target

_FAMILY = "target"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_CLASS = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)[.:]([A-Za-z_]\w*)")
_PARAMETERS = dict(section_of_targets.get_params())


@dataclass(frozen=True)
class _Kind:
    """A shipped kind of target: which settings it has, those of them that have to be set, where a password goes, and
    what makes the target of the settings."""

    settings: tuple[str, ...]
    required: tuple[str, ...]
    password: str
    make: Callable[[Mapping[str, Any], Connection | None], Target]


def _postgres(values: Mapping[str, Any], connection: Connection | None) -> Target:
    from spark_lib.targets.postgres import PostgresTarget

    kept = _kept(values)
    return PostgresTarget(values["conninfo"], schema=values["schema"], table=values["table"], **kept)


def _redis(values: Mapping[str, Any], connection: Connection | None) -> Target:
    from spark_lib.targets.redis import RedisTarget

    return RedisTarget(values["url"], **_kept(values))


def _csv(values: Mapping[str, Any], connection: Connection | None) -> Target:
    from spark_lib.targets.csv import CsvTarget

    return CsvTarget(values["root"], separator=values["separator"], connection=connection)


def _kept(values: Mapping[str, Any]) -> dict[str, timedelta]:
    hours = values["keep_hours"]
    return {} if hours is None else {"keep": timedelta(hours=hours)}


#: Settings about the rows that a target is given, which the target itself does not know.
_OF_ROWS = ("input_columns", "predicted_class")
_KINDS = {
    "csv": _Kind(("root", "separator", *_OF_ROWS), ("root",), "let AWS's own chain find the credentials", _csv),
    "postgres": _Kind(
        ("conninfo", "schema", "table", "keep_hours"),
        (),
        "put the password into the file of PGPASSFILE or into PGPASSWORD",
        _postgres,
    ),
    "redis": _Kind(("url", "keep_hours"), ("url",), "put the password into REDISCLI_AUTH", _redis),
}
#: What to do about a password of a target whose class is an adopter's.
_OWN_PASSWORD = "let the class read the password from the environment"  # noqa: S105  # words for a person


def columns_of(name: str) -> dict[str, bool]:
    """Which columns the rows of predictions have at a target beside their own: ``input_columns`` and
    ``predicted_class``."""
    if kind_of(name) not in _KINDS:
        return {}
    values = _values(name)
    return {key: values[key] for key in _OF_ROWS if key in values}


def is_of_files(name: str) -> bool:
    """Whether a target is files, which are read whole to find an entity. Raises ConfigurationError."""
    return kind_of(name) == "csv"


def names() -> list[str]:
    """The names of all targets that the configuration has."""
    sections = (section.partition(".") for section in get_config().sections())
    return [name for family, dot, name in sections if family == _FAMILY and dot]


def check_name(section: str) -> None:
    """Raise ConfigurationError for a section ``[target]`` that names no target, or names it badly."""
    _, dot, name = section.partition(".")
    if not dot:
        raise ConfigurationError(
            f"[{section}]", "a section of a target", "one of all targets", "name the target: [target.NAME]"
        )
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"[{section}]", "a name of letters, digits, _ and -", repr(name), "name the target otherwise"
        )


def check(used: Sequence[str], said_by: Callable[[], str]) -> None:
    """Raise ConfigurationError for the first target whose settings cannot work, and for one that is ``used`` and not
    there. ``said_by`` names what has set which ones are used. No driver is loaded, and no class of an adopter."""
    for name in names():
        _values(name)
    for name in used:
        if name not in names():
            raise _unknown(said_by(), name)


def kind_of(name: str) -> str:
    """The kind of a target. Raises ConfigurationError."""
    if name not in names():
        raise _unknown("target", name)
    return str(_set(name, "kind"))


def target(name: str, connection: Connection | None = None) -> Target:
    """The target of a name. ``connection`` says how files on S3 are reached; without it, as the process was configured.

    Raises ConfigurationError where there is none, where its settings cannot work, and for an adopter's class that cannot
    be imported or made.
    """
    kind, values = kind_of(name), _values(name)
    shipped = _KINDS.get(kind)
    return shipped.make(values, connection) if shipped else _own(name, kind, values)


def _values(name: str) -> dict[str, Any]:
    """The settings of a target by their names, without its kind: those of a shipped kind by their types, and those of an
    adopter's class as texts."""
    kind = str(_set(name, "kind"))
    shipped = _KINDS.get(kind)
    if shipped is None and not _CLASS.fullmatch(kind):
        found = f"{kind!r}{did_you_mean(kind, _KINDS)}" if kind else "none"
        raise ConfigurationError(
            f"[{_FAMILY}.{name}] kind", f"one of {', '.join(_KINDS)}, or module.Class", found, "correct it"
        )
    written = [key for key in _keys(name) if key != "kind"]
    for key in dict.fromkeys([*written, *(shipped.settings if shipped else ())]):
        _refuse_password(name, key, shipped.password if shipped else _OWN_PASSWORD)
    if shipped is None:
        return {key: str(_set(name, key)) for key in written}
    for key in written:
        if key not in shipped.settings:
            found = f"an unknown setting{did_you_mean(key, shipped.settings)}"
            wanted = f"one of {', '.join(('kind', *shipped.settings))}, which {kind} has"
            raise ConfigurationError(_place(name, key), wanted, found, "correct or remove it")
    values = {key: _set(name, key) for key in shipped.settings}
    for key in shipped.required:
        if not values[key]:
            raise ConfigurationError(f"[{_FAMILY}.{name}] {key}", f"a value: {kind} has no default", "none", "set it")
    _check_values(name, values)
    return values


def _check_values(name: str, values: Mapping[str, Any]) -> None:
    separator = values.get("separator")
    if separator is not None:
        from spark_lib.targets.csv import SEPARATORS

        if separator not in SEPARATORS:
            wanted = f"one of {' '.join(SEPARATORS)}"
            raise ConfigurationError(_place(name, "separator"), wanted, repr(separator), "correct it")
    hours = values.get("keep_hours")
    if hours is not None and not hours >= 0:
        raise ConfigurationError(_place(name, "keep_hours"), "a value of at least 0", f"{hours:g}", "correct it")


def _refuse_password(name: str, key: str, next_step: str) -> None:
    for place, text in resolve.texts(_FAMILY, key, [f"{_FAMILY}.{name}"], {}):
        if holds_password(key, text):
            raise ConfigurationError(place, "a value without a password", NOT_SHOWN, next_step)


def _keys(name: str) -> list[str]:
    """The keys that the section of a target has."""
    parser = get_config()
    return [key for key in parser.options(f"{_FAMILY}.{name}") if key not in parser.defaults()]


def _set(name: str, key: str) -> Any:
    """The value of a key by its type, a default where it is set nowhere, and a text where no shipped kind has the key."""
    section = f"{_FAMILY}.{name}"
    parameter = _PARAMETERS.get(key)
    for place, text in resolve.texts(_FAMILY, key, [section], {}):
        return text if parameter is None else resolve.parsed(parameter, place, text)
    return "" if parameter is None else parameter._default


def _place(name: str, key: str) -> str:
    """What has set a value."""
    found = resolve.texts(_FAMILY, key, [f"{_FAMILY}.{name}"], {})
    return next((place for place, _ in found), f"[{_FAMILY}.{name}] {key}")


def _unknown(where: str, name: str) -> ConfigurationError:
    known = names()
    wanted = f"one of {', '.join(known)}" if known else "a target that is configured"
    found = f"{name!r}{did_you_mean(name, known)}"
    return ConfigurationError(where, wanted, found, f"correct it, or add a section [{_FAMILY}.{name}]")


def _own(name: str, kind: str, values: Mapping[str, str]) -> Target:
    """A target of an adopter's class, which takes the settings by their names."""
    where = f"[{_FAMILY}.{name}] kind"
    match = _CLASS.fullmatch(kind)
    assert match is not None  # _values has seen it
    module, found = match[1], None
    try:
        found = getattr(importlib.import_module(module), match[2], None)
    except ModuleNotFoundError as error:
        if not error.name or not (module == error.name or module.startswith(f"{error.name}.")):
            raise  # the class was found, something that its module imports was not: the traceback says what
        raise ConfigurationError(
            where, "a class that Python can import", f"no module {error.name!r}", "correct it, or set PYTHONPATH"
        ) from error
    if not isinstance(found, type):
        raise ConfigurationError(where, f"a class {match[2]!r} in {module}", "none", "correct it")
    from spark_lib.targets import Target

    methods = sorted(name for name in vars(Target) if not name.startswith("_"))
    lacking = [method for method in methods if not callable(getattr(found, method, None))]
    if lacking:
        raise ConfigurationError(
            where,
            "a class with the methods of spark_lib.targets.Target",
            f"none for {', '.join(lacking)}",
            "write them",
        )
    try:
        inspect.signature(found).bind(**values)
    except TypeError as error:
        wanted = f"the settings that {kind} takes: {inspect.signature(found)}"
        raise ConfigurationError(f"[{_FAMILY}.{name}]", wanted, str(error), "correct the settings") from error
    made: Target = found(**values)
    return made
