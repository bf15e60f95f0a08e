"""Makes docs/configuration.md, the page of all settings, from the classes that declare them.

python -m scripts.configuration        or: make configuration
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import luigi

from spark_lib import problems
from spark_lib.use_case.labels import ClassLabel, Label, NumberLabel
from tasks.config.sections import SECTIONS, SHARED

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configuration.md"

#: What a text has to be, by the class of the parameter that reads it.
TYPES: dict[type[luigi.Parameter[Any]], str] = {
    luigi.Parameter: "text",
    luigi.IntParameter: "whole number",
    luigi.OptionalIntParameter: "whole number, or empty",
    luigi.FloatParameter: "number",
    luigi.OptionalFloatParameter: "number, or empty",
    luigi.BoolParameter: "`true` or `false`",
    luigi.DateParameter: "date, as 2026-01-31",
    luigi.DictParameter: "JSON object",
}
LABELS = (Label, ClassLabel, NumberLabel)
#: Where a description says the default in words.
_DEFAULT = "; default: "

#: What stands above the tables, with the place of the settings that are shared.
_TOP = """\
# Configuration

<!-- Made by scripts/configuration.py from tasks/config/sections.py and spark_lib/problems: make configuration -->

This page lists every setting of Daystone. Settings stand in sections of `luigi.cfg`, or of the file that
`LUIGI_CONFIG_PATH` names ([operations.md](operations.md), "Configuration files", has all files and their order).
`daystone doctor` says which file has set which value. Luigi's own sections are in [operations.md](operations.md),
"Settings of Luigi's", and the variables of the environment in "What of the environment matters".

## Where a value comes from

The first of these that sets a value wins:

1. the command line: `luigi ... --training-window-days 56`, or `daystone ... --set training.window_days=56`. Both take
   `--lake-root`;
2. the section of one use case, `[training.<use case>]`. `--set training.<use case>.window_days=56` sets it, too;
3. the section for all use cases, `[training]`;
4. the use case's own `settings`, such as `{"training.window_days": 56}`;
5. the default of the code, which the tables show.

`<use case>` is the name of the use case's directory in the lake: `credit_risk`, or `my_company.churn.Churn` for the
class `my_company.churn:Churn`.

    [training]
    window_days = 28

    [training.my_company.churn.Churn]
    window_days = 56

{shared} are the same for all use cases:
Daystone reads them before it knows the use case. The section of one use case and a use case's `settings` may not set
them.

A key that no section has is refused, and so is a value that cannot work: `daystone` exits with 31, `luigi` with 30. A
partition that is complete stays as it is when a setting changes ([design.md](design.md), "Configuration").

## How a value is written

A value stands without quotes, and on one line. A comment stands on a line of its own. `%` is written twice, and
`${NAME}` is the variable NAME of the environment. The value of `[spark] conf` is JSON, with JSON's own quotes. The
tables show patterns and defaults as a file has them; on a command line and in a use case's `settings`, `%` is written
once.
"""

#: What stands above the table of a section.
_ABOVE = {
    "lake": "Where partitions are, and how they are written. [operations.md](operations.md) says more of a lake on S3.",
    "pipeline": 'Which use case is built, and from which day on. README, "Your own data", says how to write one.',
    "features": """\
How features read history. [snapshots.md](snapshots.md) says what a use case writes for it. No row depends on it, so that a
change makes nothing stale.""",
    "training": """\
How training sets and models are made, and when a model is approved. [balancing.md](balancing.md) measures the
strategies of balancing, and [design.md](design.md) explains splits, calibration and gates. The column "label" names the
declarations of a label that use a setting; for the others it does nothing.""",
    "decision": """\
What predictions say beside the score. With a threshold, predictions have a column `prediction`, a BOOLEAN: whether the
score is at least the threshold. A training writes the threshold into its model's card, and scoring takes it from there:
a day is decided by the threshold of the model that scores it, and not by the setting of that day. After a change train
anew, or wait for the next training. The column "label" names the declarations of a label that use a setting; for the
others it is refused.""",
    "selection": """\
Which model is in force ([models.md](models.md)).""",
    "release": """\
When a day of predictions is held. [release.md](release.md) explains the checks. Nothing but the stage `Release` uses these
settings.""",
    "evaluation": """\
Which predictions an evaluation judges, and what is good enough. [evaluation.md](evaluation.md) explains it. Nothing but the stage
`Evaluation` uses these settings, and with `required` the stage `Release`. The column "label" names the declarations of a label that use a
setting; for the others it is refused.""",
    "lookup": """\
What `daystone lookup` and `GET /scores` say. [serving.md](serving.md) explains it.""",
    "image": """\
What `daystone image` builds. [image.md](image.md) explains it.""",
    "serve": """\
What `daystone serve` listens on and answers. [serving.md](serving.md) says more. The token is in the environment alone.""",
    "publication": """\
Where released predictions go. [publication.md](publication.md) explains it. Nothing in the lake depends on these settings.""",
    "target": """\
A place that days are published to. Each has a section of its own, `[target.<name>]`, and the name is free. There is no
`[target]` and no `[target.<name>.<use case>]`: a target is the same for all use cases. A setting that the kind does not have
is refused, and so is a password: it comes from the environment or from the file of PGPASSFILE. For a class of your own,
`kind = module.Class`, every other key is an argument of the class, as a text.

    [publication]
    targets = risk_db, cache

    [target.risk_db]
    kind = postgres
    conninfo = host=db.example dbname=risk user=writer

    [target.cache]
    kind = redis
    url = redis://cache.example:6379/0""",
    "mlflow": """\
The MLflow server that trainings are tracked at. [tracking.md](tracking.md) explains it. Nothing in the lake depends on these
settings. Credentials are in the environment alone: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or
MLFLOW_TRACKING_TOKEN.

    [mlflow]
    uri = https://mlflow.example:5000""",
    "raw": """\
Where and how raw days land. `[raw.<feed>.<use case>]` is for one feed of one use case, `[raw.<feed>]` for one feed, and
`[raw]` for all feeds: the first of these that sets a value wins. There is no `[raw.<use case>]`: name the feed. A use
case's `settings` may have `raw.<feed>.<key>` and `raw.<key>`, of which the first wins. [feeds.md](feeds.md) explains
the settings with examples.

    [raw]
    flag = DONE

    [raw.orders]
    path = s3://landing/orders/{date:%%Y-%%m-%%d}
    format = csv
    separator = ;""",
    "spark": "The Spark session. [performance.md](performance.md) and [operations.md](operations.md) say more.",
    "notify": """\
Who is told when something is wrong. [notification.md](notification.md) explains it. An address with a password, a token or a
key is refused here: it belongs into the environment's DAYSTONE_NOTIFY_URLS, or into a private file.""",
    "retries": """\
How often `daystone run` and `daystone backfill` repeat a run whose cause of failure may pass.
[operations.md](operations.md), "Repeated runs", has the causes.""",
    "log": "The log of Spark and of `daystone`. [operations.md](operations.md) says where it is.",
}


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_TOP.replace("{shared}", shared()), *map(section, SECTIONS)])


def shared() -> str:
    """The keys that are the same for all use cases, in the order of the tables, as the beginning of a sentence."""
    *others, last = (
        f"`[{name}] {key}`"
        for name, values in SECTIONS.items()
        for key, _ in values.get_params()
        if (name, key) in SHARED
    )
    return f"{', '.join(others)} and {last}"


def section(name: str) -> str:
    """The heading and the table of a section."""
    parameters = SECTIONS[name].get_params()
    by_label = any(labels(name, key) for key, _ in parameters)
    heads = ["key", "type", "default", "meaning", *(["label"] if by_label else [])]
    rows = [
        [f"`{key}`", TYPES[type(parameter)], default(name, key, parameter), meaning(parameter)]
        + ([labels(name, key) or "all"] if by_label else [])
        for key, parameter in parameters
    ]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {' | '.join(cells)} |" for cells in rows)]
    return "\n".join([f"## `[{name}]`", "", _ABOVE[name], "", *lines, ""])


def meaning(parameter: luigi.Parameter[Any]) -> str:
    """What a setting is for, without its default."""
    return str(parameter.description).partition(_DEFAULT)[0].replace(" (the default)", "")


def default(name: str, key: str, parameter: luigi.Parameter[Any]) -> str:
    """The default of the code as a file has it, then in words, then those of kinds of problems that have another."""
    text, words = written(parameter._default), str(parameter.description).partition(_DEFAULT)[2]
    if not text:
        shown = words
    elif words.partition(", ")[0] == text:
        shown = f"`{text}`{words.removeprefix(text)}"
    else:
        shown = f"`{text}`" + (f" ({words})" if words else "")
    other: dict[str, list[str]] = {}
    for label in LABELS:
        value = problems._KINDS[label.problem].defaults.get(f"{name}.{key}")
        if value is not None:
            other.setdefault(written(value), []).append(f"`{label.__name__}`")
    return shown + "".join(f"; `{value}` for {' and '.join(names)}" for value, names in other.items())


def written(value: object) -> str:
    """A value as a file has it; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, dict) else str(value).replace("%", "%%")


def labels(name: str, key: str) -> str:
    """The declarations of a label that alone use a setting; empty where all do."""
    kinds = {label.__name__: problems._KINDS[label.problem] for label in LABELS}
    used = {
        label: {"training": kind.settings, "decision": kind.decisions, "evaluation": _bounds(kind)}.get(name, ())
        for label, kind in kinds.items()
    }
    using = [f"`{label}`" for label, keys in used.items() if key in keys]
    return ", ".join(using) if len(using) < len(LABELS) else ""


def _bounds(kind: type[problems.Problem]) -> list[str]:
    """The bounds that evaluations of a kind of problem have."""
    return [gate.setting for gate in kind.gates]


if __name__ == "__main__":
    main()
