"""Writes the first text of a use case for somebody to go on with: a module that loads, and says what to look at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from spark_lib.use_case import ddl
from spark_lib.use_case.declarations import NUMERIC, ON_RAW_ROWS, RESERVED
from spark_lib.use_case.protocol import BY_MODEL

#: The first day of history where no row says another.
FIRST_DATE = date(2026, 1, 1)
_NAMES_OF_LABELS = re.compile(r"label|target|class|churned|churn|default(ed)?|outcome|status|sold|y", re.IGNORECASE)
_NAMES_OF_ENTITIES = re.compile(r".*(customer|client|user|account|member|person|patient|device).*|.*id", re.IGNORECASE)
_OF_KEYS = ("string", "int", "bigint")
_OF_LABELS = ("string", "boolean", "tinyint", "smallint", "int", "bigint")
_INSTANTS = ("timestamp", "timestamp_ntz", "date")
_MOST_CATEGORIES = 100
_NOT_TAKEN = {
    name.lower() for name in (*RESERVED, *ON_RAW_ROWS, *BY_MODEL, "prediction", "score", "scores", "lower", "upper")
}


@dataclass(frozen=True)
class Seen:
    """A column of a table, as its first rows show it: the Spark name of its type, whether it has nulls, its number of
    ``distinct`` values, whether each row has another one, its values where there are two (the more frequent first), and
    its earliest date."""

    name: str
    kind: str
    nulls: bool = False
    distinct: int = 0
    unique: bool = False
    values: tuple[str | int, ...] = ()
    first: date | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the column may have a role, or be a feature."""
        return ddl.is_plain(self.name) and self._is_free

    @property
    def may_be_label(self) -> bool:
        """Whether the column may be the label, whose name may have dots."""
        return "`" not in self.name and self._is_free and self.kind in _OF_LABELS

    @property
    def _is_free(self) -> bool:
        return self.name.lower() not in _NOT_TAKEN and not self.name.startswith("_")


#: The columns of a draft that is made from no table.
EXAMPLE = (
    Seen("row_id", "string", unique=True, distinct=9),
    Seen("customer_id", "string", distinct=3),
    Seen("event_time", "timestamp", distinct=9),
    Seen("amount", "double", nulls=True, distinct=9),
)


@dataclass(frozen=True)
class Roles:
    """Which column has which role. Without an entity the key stands for it, and without an event time the landing day.
    Where the table has no key, ``added`` has a column that is to be added."""

    key: Seen
    entity: Seen | None
    event_time: Seen | None
    label: Seen | None
    features: Sequence[Seen]
    added: Sequence[Seen]


def roles(columns: Sequence[Seen]) -> Roles:
    """Propose a role for each of the columns."""
    plain = [column for column in columns if column.is_plain]
    whole = [column for column in plain if column.kind in _OF_KEYS and not column.nulls]
    added = []
    names = {column.name.lower() for column in columns}
    key = next((column for column in whole if column.unique), None)
    if key is None:
        key = Seen(_free("row_id", names), "string", unique=True)
        added.append(key)
    instants = [column for column in plain if column.kind in _INSTANTS]
    event_time = next((column for column in instants if not column.nulls), next(iter(instants), None))
    named = [column for column in whole if column is not key and _NAMES_OF_ENTITIES.fullmatch(column.name)]
    entity = next((column for column in named if not column.unique and column.distinct > 2), None)
    two = [column for column in columns if column.may_be_label and len(column.values) == 2]
    two = [column for column in two if column not in (key, entity)]
    label = next((column for column in two if _NAMES_OF_LABELS.fullmatch(column.name)), None)
    if label is None and two and two[-1] is columns[-1]:
        label = two[-1]
    others = [column for column in plain if column not in (key, entity, event_time, label)]
    return Roles(key, entity, event_time, label, [column for column in others if _is_feature(column)], added)


def module(class_name: str, feed: str, columns: Sequence[Seen], left_out: Mapping[str, str], source: str) -> str:
    """The text of a module with a use case of this name, whose scored feed has these columns. ``left_out`` says why a
    column of the table is not among them, and ``source`` names the table."""
    found = roles(columns)
    outcomes = "outcomes" if feed != "outcomes" else "outcomes_of_rows"
    body = [*_feeds(found, feed, outcomes, columns, left_out, source), *_roles(found, feed, outcomes, source)]
    body += [*_features(found, columns), "", *_methods(found, feed)]
    return "\n".join([_HEAD.format(class_name=class_name, feed=feed), *body]) + "\n"


def configuration(reference: str, columns: Sequence[Seen]) -> str:
    """The text of a luigi.cfg for the use case."""
    found = roles(columns)
    first_date = (found.event_time.first if found.event_time else None) or FIRST_DATE
    text = _CONFIGURATION.format(reference=reference, first_date=first_date)
    return text + (_KNOWN_AT_ONCE if found.label else "")


_HEAD = '''"""A use case of Daystone: what is predicted, from which raw data, by which features.

`daystone check` tries it on the first rows that have landed. Nothing imports pyspark
up here, so that a run with nothing to do stays cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from spark_lib import Feature, Feed, Label, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class {class_name}(UseCase):
    """Say in a sentence what the score of a row of `{feed}` is the probability of."""
'''

_CONFIGURATION = """# Daystone reads this file in the working directory. `daystone doctor` shows what counts.
# A value stands without quotes, and a comment on a line of its own.
[pipeline]
use_case = {reference}
# The first day that has landed.
first_date = {first_date}

[lake]
root = lake
"""
_KNOWN_AT_ONCE = """
[training]
# The outcome is known when its row lands.
label_delay_days = 0
"""


def _feeds(
    found: Roles, feed: str, outcomes: str, columns: Sequence[Seen], left_out: Mapping[str, str], source: str
) -> Iterator[str]:
    yield "    # Raw data by feed: the columns that land, and the key, which is unique within a day."
    for name, why in left_out.items():
        yield f"    # Left out of {feed}: {_on_a_line(name)}, {why}."
    for column in found.added:
        yield f"    # TODO: {source or 'the table'} has no column for {column.name}. Let one land."
    yield "    feeds: ClassVar[Mapping[str, Feed]] = {"
    yield from _feed(feed, [*columns, *found.added], found.key.name)
    if found.label is None:
        yield "        # TODO: say where outcomes land, and what their column is called."
        yield from _feed(outcomes, [found.key, Seen("outcome", "string")], found.key.name)
    yield "    }"


def _feed(feed: str, columns: Sequence[Seen], key: str) -> Iterator[str]:
    yield f"        {_text(feed)}: Feed("
    yield '            """'
    yield ",\n".join(f"            {_quoted(column.name)} {column.kind.upper()}" for column in columns)
    yield '            """,'
    yield f"            key={_text(key)},"
    yield "        ),"


def _roles(found: Roles, feed: str, outcomes: str, source: str) -> Iterator[str]:
    yield "    # The feed whose rows are scored."
    yield f"    rows = {_text(feed)}"
    if found.entity:
        yield "    # Whom a row is about: no entity is in training and in validation."
        yield f"    entity = {_text(found.entity.name)}"
    else:
        yield "    # No `entity`: each row is about somebody else, and the key stands for it."
    if found.event_time:
        yield "    # When the features of a row are known: they may see earlier rows alone."
        yield f"    event_time = {_text(found.event_time.name)}"
    else:
        yield "    # No `event_time`: the day on which a row lands stands for it."
    if found.label is None:
        yield "    # TODO: the column of the outcome, and its two values."
        column, positive, negative = "outcome", _text("yes"), _text("no")
        label_feed = outcomes
    else:
        column, label_feed = found.label.name, feed
        rare, often = found.label.values[1], found.label.values[0]
        positive, negative = (_text(value) if isinstance(value, str) else str(value) for value in (rare, often))
        yield f"    # TODO: is {_on_a_line(column)} the outcome, and its rarer value the one to predict?"
        yield "    # Daystone takes the column away before engineer sees a row."
    yield "    label = Label("
    yield f"        feed={_text(label_feed)},"
    yield f"        key={_text(found.key.name)},"
    yield f"        column={_text(column)},"
    yield f"        positive={positive},"
    yield f"        allowed=({positive}, {negative}),"
    yield "    )"


def _features(found: Roles, columns: Sequence[Seen]) -> Iterator[str]:
    yield "    # The columns of the model: the type of each, and what null becomes (`fill`)."
    roles_of = (found.key, found.entity, found.event_time, found.label)
    others = [column.name for column in columns if column not in (*roles_of, *found.features)]
    if others:
        yield f"    # No feature yet: {', '.join(map(_on_a_line, others))}."
    yield "    features: ClassVar[Mapping[str, Feature]] = {"
    for column in found.features:
        fill = ", fill=0.0" if column.kind != "string" else ""
        yield f"        {_text(column.name)}: Feature({_text(column.kind.upper())}{fill}),"
    if not found.features:
        yield '        "day_of_week": Feature("INT"),'
    yield "    }"


def _methods(found: Roles, feed: str) -> Iterator[str]:
    yield "    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:"
    yield '        """One row for each row of `day`: the key and the features."""'
    if not found.features:
        yield "        from pyspark.sql import functions as F"
        yield ""
        yield f"        day_of_week = F.dayofweek({_text(found.event_time.name if found.event_time else 'landed')})"
        yield '        day = day.withColumn("day_of_week", day_of_week)'
    yield f"        # `history` has the rows of {feed} that landed up to this day. Join them, and"
    moment = "event time is" if found.event_time else "landing day is"
    yield f"        # look only at rows whose {moment} strictly earlier than the row's own."
    yield "        return day.select(self.key, *self.features)"


def _is_feature(column: Seen) -> bool:
    if column.kind == "string":
        return 0 < column.distinct <= _MOST_CATEGORIES and not column.unique
    return column.kind.partition("(")[0] in NUMERIC


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else f"{name}_of_row"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) else f"`{name.replace('`', '``')}`"


def _on_a_line(name: str) -> str:
    return " ".join(name.split())
