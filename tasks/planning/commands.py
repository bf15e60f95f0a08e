"""The commands that a message tells a person to run. Each means the same as the command that prints it."""

from __future__ import annotations

import shlex
from datetime import date

from luigi.cmdline_parser import CmdlineParser

from spark_lib.lake import normalise_root
from spark_lib.use_case import loading
from tasks.config import resolve, sections
from tasks.config.shown import may_be_shown, without_password
from tasks.graph.stage import Stage


def to_rebuild(stage: Stage, dataset: str, day: date) -> str:
    """The command that rebuilds a day of a dataset, of the lake and the use case of ``stage``."""
    return f"daystone rebuild {dataset} --date {day}{options(stage)}"


def options(stage: Stage) -> str:
    """The options with which a command means the same as this run: those of its command line, and the lake and the use
    case where they are not the default. A value that may be a secret is written as ``...``.
    """
    said = {("lake", "root"): stage.lake} if stage.lake != normalise_root(resolve.default_lake()) else {}
    if stage.use_case != loading.normalise(resolve.default_use_case()):
        said["pipeline", "use_case"] = stage.use_case
    said = _typed() | said
    spelled = {("lake", "root"): "--lake-root ", ("pipeline", "use_case"): "--use-case "}
    options = ""
    for (section, key), value in said.items():
        shown = without_password(value) if may_be_shown(section, key) else "..."
        option = spelled.get((section, key))
        options += f" {option}{shlex.quote(shown)}" if option else f" --set {shlex.quote(f'{section}.{key}={shown}')}"
    return options


def _typed() -> dict[tuple[str, str], str]:
    """The values that a command line has set, Luigi's or that of ``daystone``."""
    found = resolve.all_given()
    parser = CmdlineParser.get_instance()
    for family, section in sections.SECTIONS.items() if parser is not None else ():
        for name, _ in section.get_params():
            value = getattr(parser.known_args, f"{family}_{name}", None)
            if value is not None:
                found[family, name] = str(value)
    return found
