"""Finds the value of a setting. The first of these that has it wins: the command line, ``[section.<use_case>]``,
``[section]``, the use case's ``settings``, the defaults of ``sections``.

A feed's section is ``[raw.<feed>.<use_case>]``, then ``[raw.<feed>]``, then ``[raw]`` for what all feeds share.
"""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import get_config

from spark_lib.errors import ConfigurationError, did_you_mean
from tasks.config import value_rules
from tasks.config.sections import SECTIONS, lake, log, pipeline
from tasks.config.shown import NOT_SHOWN, may_be_shown, without_password

#: The values that options of ``daystone`` have set, by section and key.
_GIVEN: dict[tuple[str, str], str] = {}
Section = TypeVar("Section", bound=luigi.Config)


def values(
    section: type[luigi.Config], sections: Sequence[str], defaults: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield the value of each parameter that is set somewhere, by precedence. The others have the defaults of the
    class.
    """
    for name, parameter in section.get_params():
        for place, text in texts(section.__name__, name, sections, defaults):
            yield name, parsed(parameter, place, text)
            break


def parsed(parameter: luigi.Parameter[Any], place: str, text: str) -> Any:
    """The value of a parameter. Raises ConfigurationError, naming ``place``, for a text that is not of its type."""
    is_json = isinstance(parameter, luigi.DictParameter)
    value_rules.check(place, str(text), is_json)
    try:
        return parameter.parse(text)
    except (ValueError, TypeError) as error:
        with_a_comment = None if is_json else value_rules.comment(place, str(text))
        if with_a_comment:
            raise with_a_comment from error
        found = NOT_SHOWN if is_json else repr(without_password(str(text)))
        raise ConfigurationError(place, _kind(parameter), found, "correct it") from (None if is_json else error)


def _kind(parameter: luigi.Parameter[Any]) -> str:
    if isinstance(parameter, luigi.ChoiceParameter):
        return f"one of {', '.join(sorted(map(str, parameter._choices)))}"
    return f"a value of type {type(parameter).__name__.removesuffix('Parameter').lower() or 'text'}"


def texts(family: str, name: str, sections: Sequence[str], defaults: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the places that set a value, each with its text. The first one wins."""
    command_line = CmdlineParser.get_instance()
    given = command_line and getattr(command_line.known_args, f"{family}_{name}", None)
    if given is not None:
        yield f"--{family}-{name}".replace("_", "-"), given
    for section in sections:
        if (section, name) in _GIVEN:
            yield f"--set {section}.{name}", _GIVEN[section, name]
    for section in sections:
        text = in_files(section, name)
        if text is not None:
            yield f"[{section}] {name}", str(text)
    if name in defaults:
        value = defaults[name]
        yield f"the use case's setting {family}.{name}", text_of(value)


def text_of(value: Any) -> str:
    """A setting of a use case, as it would be written in a file."""
    return json.dumps(dict(value)) if isinstance(value, Mapping) else str(value)


def in_files(section: str, name: str) -> str | None:
    """The text of the files for a key, or None. Raises ConfigurationError for a text that Luigi cannot expand."""
    try:
        text: str | None = get_config().get(section, name, None)
    except configparser.Error as error:
        raise ConfigurationError(
            f"[{section}] {name}",
            "a value that Luigi can read",
            " ".join(str(error).split()) if may_be_shown(section, name) else NOT_SHOWN,
            "write %% for a percent sign, and ${NAME} only for a variable of the environment that is set",
        ) from error
    return text


def give(section: str, key: str, value: str) -> None:
    """Set a value that outranks every file, as Luigi's own command line does. Raises ConfigurationError for a section
    that neither Daystone nor Luigi knows."""
    known = {*SECTIONS, *luigi.task_register.Register.task_names()}
    if section.partition(".")[0] not in known:
        raise ConfigurationError(
            f"--set {section}.{key}", "a known section", f"an unknown one{did_you_mean(section, known)}", "correct it"
        )
    if section.partition(".")[0] in SECTIONS:
        key = key.replace("-", "_")
    _GIVEN[section, key] = value
    # This is for values that are read through Luigi, which interpolates.
    get_config().set(section, key, value.replace("%", "%%"))


def given(section: str, key: str) -> bool:
    """Whether an option of ``daystone`` has set a value."""
    return (section, key) in _GIVEN


def all_given() -> dict[tuple[str, str], str]:
    """The values that options of ``daystone`` have set, by section and key."""
    return dict(_GIVEN)


def default_use_case() -> str:
    """The use case to take where none is given."""
    return str(_shared(pipeline).use_case)


def default_lake() -> str:
    """The lake to take where none is given."""
    return str(_shared(lake).root)


def _shared(section: type[Section]) -> Section:
    """A section as it is for every use case."""
    return section(**dict(values(section, [section.__name__], {})))


def log_file() -> Path:
    """The file that takes today's chatter of Spark (and of Luigi, under ``daystone``); its directory is made."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    directory = Path(_shared(log).directory or os.path.join(state, "daystone")).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            "[log] directory",
            "a directory that can be made",
            f"{directory}: {error.strerror}",
            "set it to a directory that this user can write to",
        ) from error
    return directory / f"{datetime.now(UTC):%Y-%m-%d}.log"
