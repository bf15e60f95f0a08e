"""Checks what a use case declares before anything runs: the kind of each declaration, names, and what has to fit
together.

Every fault is a ConfigurationError that names the declaration. Nothing here needs Spark.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spark_lib.errors import did_you_mean
from spark_lib.use_case import ddl
from spark_lib.use_case.keys import names
from spark_lib.use_case.labels import LABELS, are_several, shown
from spark_lib.use_case.protocol import BY_MODEL, NEWEST, Feature, Feed, UseCase, refuse

#: The types that a float32 matrix can be made of.
NUMERIC = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
#: Columns that Daystone or a model of Spark ML adds to rows of features, and those that it adds to raw rows.
RESERVED = ("copy", "date", "features", "label", "landed", "side", "prediction", "probability", "rawPrediction")
ON_RAW_ROWS = ("landed", "_metadata", "_rank")
#: What may become of rows of one day with one key.
DUPLICATES = ("error", "identical", "newest")
#: The columns that Daystone adds to rows in a quarantine, and the names of its own reasons to put them there.
ON_QUARANTINED_ROWS = ("rule", "reason")
OWN_RULES = (TYPES, NEVER_NULL, REPEATED, SEEN) = ("types", "never null", "duplicates", "unique_days")
#: Separates the rules that one row breaks.
BETWEEN_RULES = "; "
_LONGEST_UNIQUE = 366
#: The types of columns that identify a row. Scores can be stored beside columns of these types.
_PLAIN = (*NUMERIC, "string", "date", "timestamp", "timestamp_ntz", "binary")
_INSTANTS = ("timestamp", "timestamp_ntz", "date")
#: The methods that a use case may write, and the arguments that they are called with.
_METHODS = {
    "engineer": ("day", "history"),
    "engineer_from_state": ("day", "state", "recent"),
    "update_state": ("state", "recent"),
    "estimator": ("settings",),
}
#: Those of them that only work together.
_OF_A_STATE = ("engineer_from_state", "update_state")


def made(name: str, kind: type[UseCase]) -> UseCase:
    """An instance of a use case's class. Raises ConfigurationError for a class that cannot be made without
    arguments."""
    try:
        inspect.signature(kind).bind()
    except TypeError as error:
        refuse(name, "a class that is made without arguments", str(error))
    return kind()


def check(name: str, case: UseCase) -> None:
    """Raise ConfigurationError for the first declaration that cannot work."""
    _Declarations(name, case).check()


class _Declarations:
    """The declarations of one use case."""

    def __init__(self, name: str, case: UseCase) -> None:
        self._name = name
        self._case = case

    def check(self) -> None:
        for attribute in ("feeds", "rows", "label", "features"):
            self._need(hasattr(self._case, attribute), f"an attribute {attribute!r}", "none")
        for method, arguments in _METHODS.items():
            given = getattr(self._case, method)
            self._need(callable(given), f"a method `{method}`", shown(given))
            try:
                inspect.signature(given).bind(*arguments)
            except TypeError as error:
                refuse(self._name, f"a method `{method}(self, {', '.join(arguments)})`", str(error))
        self._check_feeds()
        self._check_label()
        self._check_features()
        self._check_names()
        self._check_segments()
        self._check_roles()
        for feed, declared in self._case.feeds.items():
            self._check_rules(feed, declared)
            self._check_duplicates(feed, declared)
        self._check_label_key()
        self._check_outcomes()
        self._check_settings()
        self._check_state()
        if type(self._case).engineer is UseCase.engineer:
            self._check_landed_features()

    def _check_state(self) -> None:
        kind = type(self._case)
        written = [name for name in _OF_A_STATE if getattr(kind, name) is not getattr(UseCase, name)]
        self._need(len(written) != 1, f"both {' and '.join(_OF_A_STATE)}, or neither", f"{' '.join(written)} alone")
        if written:
            taken = NEWEST in names(self._case.entity_or_key)
            self._need(not taken, f"no entity in a column {NEWEST!r}, which a state has for its event time", "one")

    def _need(self, good: bool, wanted: str, found: str) -> None:
        if not good:
            refuse(self._name, wanted, found)

    def _need_text(self, value: object, what: str) -> None:
        self._need(isinstance(value, str) and bool(value.strip()), what, shown(value))

    def _need_key(self, key: object, what: str) -> None:
        if not isinstance(key, tuple):
            self._need_text(key, f"{what} as the name of a column, or as a tuple of several")
            return
        self._need(len(key) > 1, f"{what} as the name of a column, or as a tuple of several", f"a tuple of {len(key)}")
        for column in key:
            self._need_text(column, f"{what} as a tuple of names of columns")
        self._need_once(f"each column of {what}", key)

    def _check_feeds(self) -> None:
        case, columns = self._case, "DDL text, such as 'loan_id STRING, `job-start` DATE'"
        as_mapping = isinstance(case.feeds, Mapping) and bool(case.feeds)
        self._need(as_mapping, "`feeds` as a mapping of names to Feed(schema, key)", shown(case.feeds))
        for feed, declared in case.feeds.items():
            named = isinstance(feed, str) and re.fullmatch(r"[^/\s]([^/]*[^/\s])?", feed) is not None
            self._need(named, "names of feeds that are text without a slash", shown(feed))
            self._need(isinstance(declared, Feed), f"feed {feed!r} as a Feed(schema, key)", shown(declared))
            self._need(
                isinstance(declared.schema, str), f"the schema of feed {feed!r} as {columns}", shown(declared.schema)
            )
            try:
                ddl.columns(declared.schema)
            except ddl.NotDDL as error:
                refuse(self._name, f"the schema of feed {feed!r} as {columns}", str(error))
            self._need_key(declared.key, f"the key of feed {feed!r}")
            yes_or_no = isinstance(declared.history, bool)
            self._need(yes_or_no, f"`history` of feed {feed!r} as True or False", shown(declared.history))
        self._need_text(case.rows, "`rows` as the name of a feed")
        feeds = sorted(case.feeds)
        self._need(case.rows in case.feeds, f"`rows` to name one of the feeds {feeds}", repr(case.rows))
        for attribute in ("entity", "event_time"):
            if getattr(case, attribute) is not None:
                self._need_text(getattr(case, attribute), f"`{attribute}` as the name of a column")

    def _check_rules(self, feed: str, declared: Feed) -> None:
        """Whether each condition can be computed is found out by Spark (``spark_lib.stages.cleaning.check_rules``)."""
        like = "{'amount is positive': 'amount > 0'}"
        as_mapping = f"`rules` of feed {feed!r} as a mapping of names to conditions, such as {like}"
        self._need(isinstance(declared.rules, Mapping), as_mapping, shown(declared.rules))
        for name, condition in declared.rules.items():
            self._need_text(name, f"names of rules of feed {feed!r} that are text")
            plain = f"names of rules of feed {feed!r} on one line and without {BETWEEN_RULES.strip()!r}"
            self._need(name.isprintable() and BETWEEN_RULES.strip() not in name, plain, repr(name))
            others = f"names of rules of feed {feed!r} other than {', '.join(OWN_RULES)}, which are Daystone's own"
            self._need(name not in OWN_RULES, others, repr(name))
            self._need_text(
                condition, f"rule {name!r} of feed {feed!r} as a condition in Spark SQL, such as 'amount > 0'"
            )
        share = declared.max_quarantined
        is_share = share is None or (
            isinstance(share, (int, float)) and not isinstance(share, bool) and 0 <= share <= 1
        )
        self._need(is_share, f"`max_quarantined` of feed {feed!r} as a share from 0 to 1, or None", shown(share))
        taken = [name for name in self._columns(feed) if name.lower() in ON_QUARANTINED_ROWS or name.startswith("_")]
        self._need(
            not declared.is_cleaned or not taken,
            f"columns of feed {feed!r} of other names than {', '.join(ON_QUARANTINED_ROWS)} or _anything, which Daystone adds to "
            "rows while it cleans them",
            ", ".join(map(repr, taken)),
        )

    def _check_duplicates(self, feed: str, declared: Feed) -> None:
        case, kinds = self._case, self._columns(feed)
        one_of = f"`duplicates` of feed {feed!r} as one of {', '.join(map(repr, DUPLICATES))}"
        self._need(declared.duplicates in DUPLICATES, one_of, shown(declared.duplicates))
        days = declared.unique_days
        whole = isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= _LONGEST_UNIQUE
        self._need(
            whole, f"`unique_days` of feed {feed!r} as a number of days from 0 to {_LONGEST_UNIQUE}", shown(days)
        )
        own = declared.event_time
        if own is not None:
            self._need_text(own, f"`event_time` of feed {feed!r} as the name of a column")
            of_rows = f"`event_time` of feed {feed!r} left out, as the use case's own `event_time` is that of its rows"
            self._need(feed != case.rows, of_rows, repr(own))
            role = f"`event_time` of feed {feed!r}"
            self._need(own in kinds, f"{role} among its columns: {_some(kinds)}", _hint(own, kinds))
            self._need(kinds[own] in _INSTANTS, f"{role} of one of the types {', '.join(_INSTANTS)}", kinds[own])
        if declared.duplicates == "newest":
            timed = f"an `event_time` of feed {feed!r}, by which duplicates = 'newest' decides"
            self._need(case.event_time_of(feed) is not None, timed, "none")
        if declared.duplicates in ("identical", "newest"):
            odd = [name for name, kind in kinds.items() if kind.partition("(")[0] not in _PLAIN]
            compared = (
                f"columns of feed {feed!r} that can be compared, as duplicates = {declared.duplicates!r} asks for"
            )
            self._need(not odd, compared, ", ".join(f"{name!r} of type {kinds[name]}" for name in odd))

    def _check_label(self) -> None:
        case, label = self._case, self._case.label
        kinds = "a Label(feed, key, column, positive, allowed), a ClassLabel or a NumberLabel"
        self._need(isinstance(label, LABELS), f"`label` as {kinds}", shown(label))
        self._need_text(label.feed, "the label's `feed` as the name of a feed")
        self._need_key(label.key, "the label's `key`")
        self._need_text(label.column, "the label's `column` as the name of a column")
        fault = label.fault()
        if fault is not None:
            refuse(self._name, *fault)
        feeds = sorted(case.feeds)
        self._need(label.feed in case.feeds, f"the label's feed to be one of {feeds}", repr(label.feed))
        if label.later is not None:
            self._check_later_feed()
        if case.label_lands_with_rows:
            self._check_label_of_rows()
        for feed, declared in case.feeds.items():
            useful = not declared.history or feed in case.outcome_feeds
            only = f"`history` of a feed in which outcomes land: {', '.join(case.outcome_feeds)}"
            self._need(useful, only, f"it of {feed!r}, which is in `history` in any case")

    def _check_later_feed(self) -> None:
        """Outcomes of a feed of their own that become known later land there."""
        case, label = self._case, self._case.label
        self._need_text(label.later, "the label's `later` as the name of a feed, or None")
        feeds = sorted(case.feeds)
        self._need(label.later in case.feeds, f"the label's `later` to be one of {feeds}", repr(label.later))
        self._need(
            case.label_lands_with_rows,
            f"the label's `later` only where the label is a column of the scored feed {case.rows!r}",
            f"the label in feed {label.feed!r}, where later outcomes land as well",
        )
        self._need(label.later != case.rows, "the label's `later` to be another feed than the rows'", repr(label.later))

    def _check_label_of_rows(self) -> None:
        """The label is a column of the scored feed that can be taken away."""
        case, label = self._case, self._case.label
        own_key = (
            f"the label's `key` to be the key of the scored feed {case.rows!r}, of which it is a column: {case.key!r}"
        )
        self._need(label.key == case.key, own_key, repr(label.key))
        for role, column in self._identity():
            apart = column.lower() != label.column.lower()
            wanted = "the label's `column` to be none of key, entity and event time"
            self._need(apart, wanted, f"the {role} {label.column!r}")
        past = case.rows_outcomes
        unique = past not in case.feeds or not case.feeds[case.rows].history
        self._need(unique, f"no feed of the name {past!r}, which the outcomes in `history` have", "one")

    def _check_features(self) -> None:
        case = self._case
        as_mapping = isinstance(case.features, Mapping)
        self._need(as_mapping, "`features` as a mapping of names to Feature(type)", shown(case.features))
        self._need(bool(case.features), "at least one feature", "none")
        for feature, declared in case.features.items():
            self._need_text(feature, "names of features that are text")
            as_feature = f"feature {feature!r} as a Feature, such as Feature('DOUBLE')"
            self._need(isinstance(declared, Feature), as_feature, shown(declared))
            self._need_text(declared.type, f"the type of feature {feature!r} as text, such as 'DOUBLE'")
            fill, kind = declared.fill, "text" if declared.is_string else "finite number"
            fits = (
                isinstance(fill, str) if declared.is_string else isinstance(fill, (int, float)) and math.isfinite(fill)
            )
            self._need(fill is None or fits, f"the `fill` of feature {feature!r} as a {kind}, or None", shown(fill))
            self._check_texts(feature, declared)
            yes_or_no = isinstance(declared.nominal, bool)
            self._need(yes_or_no, f"`nominal` of feature {feature!r} as True or False", shown(declared.nominal))
        of_label = _columns_of_label(case)
        for feature, declared in case.features.items():
            known = f"feature {feature!r} to be known when its row is scored, and to have a name that says so"
            self._need(feature.lower() not in of_label, known, of_label.get(feature.lower(), ""))
            kinds = (*NUMERIC, "string")
            fits = _kind_of(declared.type).partition("(")[0] in kinds
            self._need(fits, f"feature {feature!r} of one of the types {', '.join(kinds)}", repr(declared.type))

    def _check_texts(self, feature: str, declared: Feature) -> None:
        text, known = declared.text, declared.categories
        self._need(isinstance(text, bool), f"`text` of feature {feature!r} as True or False", shown(text))
        self._need(
            not text or declared.is_string, f"feature {feature!r} of type STRING, as it is a `text`", declared.type
        )
        if known is not None:
            self._need(
                declared.is_category, f"`categories` only of a STRING that is no `text`: feature {feature!r}", "some"
            )
            texts = are_several(known) and all(isinstance(value, str) for value in known)
            self._need(
                texts, f"the `categories` of feature {feature!r} as texts, such as ('red', 'blue')", shown(known)
            )

    def _check_segments(self) -> None:
        """Segments are features, because validation rows have no more columns than key, entity, event time and features.
        Their values can be told apart and counted: texts that are categories, booleans and whole numbers."""
        case, kinds = self._case, ("boolean", *ddl.WHOLE, "string")
        as_tuple = "`segments` as a tuple of names of features, such as ('region',)"
        self._need(isinstance(case.segments, tuple), as_tuple, shown(case.segments))
        for column in case.segments:
            self._need_text(column, as_tuple)
            there = f"segment {column!r} among the features: {_some(case.features)}"
            self._need(column in case.features, there, _hint(column, case.features))
            feature = case.features[column]
            fits = f"segment {column!r} of one of the types {', '.join(kinds)}, whose values can be counted"
            self._need(_kind_of(feature.type) in kinds, fits, feature.type)
            self._need(not feature.text, f"segment {column!r} as a category", "a text")
        self._need_once("each segment", case.segments)

    def _check_names(self) -> None:
        case = self._case
        identity = case.identity
        for columns, own in ((identity, (*RESERVED, *case.label.predicted, *BY_MODEL)), (case.features, RESERVED)):
            for column in columns:
                self._need(
                    column.lower() not in map(str.lower, own) and not column.startswith("_"),
                    f"columns of other names than {', '.join(own)} or _anything, which are Daystone's own",
                    repr(column),
                )
        features = {feature.lower() for feature in case.features}
        for role, column in self._identity():
            self._need(
                column.lower() not in features,
                "features that are none of key, entity and event time",
                f"the {role} {column!r}",
            )
        self._need_once("each feature", case.features)
        for column in (*identity, *names(case.label.key), *case.features):
            plain = "columns of keys, the entity, the event time and features without a dot or a backtick"
            self._need(ddl.is_plain(column), f"{plain} in their names", repr(column))
        quotable = "a label's column without a backtick in its name"
        self._need("`" not in case.label.column, quotable, repr(case.label.column))
        for feed, declared in case.feeds.items():
            there = [column.name for column in ddl.columns(declared.schema)]
            self._need("" not in there, f"names of all columns of feed {feed!r}", "an empty one")
            for column in there:
                self._need(
                    column.lower() not in ON_RAW_ROWS,
                    f"columns of feed {feed!r} of other names than {', '.join(ON_RAW_ROWS)}, which Daystone adds to raw rows",
                    repr(column),
                )
            self._need_once(f"each column of feed {feed!r}", there)

    def _need_once(self, what: str, names: Iterable[str]) -> None:
        before: dict[str, str] = {}
        for column in names:
            twice = before.get(column.lower())
            if twice is not None:
                found = f"{column!r} twice" if twice == column else f"{twice!r} and {column!r}"
                refuse(self._name, f"{what} once, in upper or lower case", found)
            before[column.lower()] = column

    def _check_roles(self) -> None:
        """Columns that have a role are declared by their feeds, with a type whose values can be told apart, or
        compared."""
        case, label = self._case, self._case.label
        roles: list[tuple[str, str, str, tuple[str, ...]]] = [
            *(
                (feed, f"the key of feed {feed!r}", column, _PLAIN)
                for feed, declared in case.feeds.items()
                for column in names(declared.key)
            ),
            *((label.feed, "the label's `key`", column, _PLAIN) for column in names(label.key)),
            (label.feed, "the label's `column`", label.column, _PLAIN),
        ]
        roles += [(case.rows, "`entity`", case.entity, _PLAIN)] if case.entity is not None else []
        roles += [(case.rows, "`event_time`", case.event_time, _INSTANTS)] if case.event_time is not None else []
        if label.later is not None:
            roles += [(label.later, "the label's `key`", column, _PLAIN) for column in names(label.key)]
            roles += [(label.later, "the label's `column`", label.column, _PLAIN)]
        for feed, role, column, kinds in roles:
            there = self._columns(feed)
            self._need(
                column in there, f"{role} among the columns of feed {feed!r}: {_some(there)}", _hint(column, there)
            )
            fit = there[column].partition("(")[0] in kinds
            self._need(fit, f"{role} of one of the types {', '.join(kinds)}", f"{column!r} of type {there[column]}")

    def _check_label_key(self) -> None:
        """The keys have the same type. Otherwise Spark would take text for numbers where it compares them, and ``01``
        for ``1``. So do the outcomes of two feeds."""
        case, label = self._case, self._case.label
        own, other = names(case.key), names(label.key)
        as_many = f"the label's `key` of as many columns as the key {case.key!r} of feed {case.rows!r}"
        self._need(len(own) == len(other), as_many, repr(label.key))
        for feed in case.outcome_feeds:
            for column, referring in zip(own, other, strict=True):
                kind, refers = self._columns(case.rows)[column], self._columns(feed)[referring]
                same = f"the label's key {referring!r} of the type of the key {column!r}: {kind}"
                self._need(_comparable(kind, refers), same, refers)
        if label.later is not None:
            first, then = (self._columns(feed)[label.column] for feed in (label.feed, label.later))
            same = f"the label's column {label.column!r} of one type in feeds {label.feed!r} and {label.later!r}"
            self._need(_comparable(first, then), same, f"{first} and {then}")

    def _check_outcomes(self) -> None:
        """The label's column can hold the outcomes. Others would fail Spark's cast, at the first training."""
        label = self._case.label
        kind = self._columns(label.feed)[label.column]
        if not label.outcomes:
            numeric = kind.partition("(")[0] in NUMERIC and kind != "boolean"
            self._need(numeric, f"the label's column {label.column!r} of a numeric type", kind)
        for value in label.outcomes:
            text = str(value)
            if kind in ddl.WHOLE:
                good = re.fullmatch(r"-?\d+", text, re.ASCII) is not None
            elif kind == "boolean":
                good = isinstance(value, str) and text.lower() in ("true", "false")
            elif kind in ("float", "double") or kind.startswith("decimal"):
                good = re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII) is not None
            else:
                good = isinstance(value, str)
            self._need(good, f"outcomes that the label's column {label.column!r} of type {kind} can hold", repr(value))

    def _check_settings(self) -> None:
        settings = self._case.settings
        as_mapping = "`settings` as a mapping of section.key to a value, such as {'training.cadence': 'daily'}"
        self._need(isinstance(settings, Mapping), as_mapping, shown(settings))
        for setting in settings:
            named = isinstance(setting, str) and "." in setting
            self._need(named, "settings named section.key", shown(setting))

    def _check_landed_features(self) -> None:
        """Without an ``engineer``, features are columns of the scored feed, of the same type."""
        case = self._case
        there = self._columns(case.rows)
        for feature, declared in case.features.items():
            wanted = f"feature {feature!r} among the columns of feed {case.rows!r}, as the use case has no `engineer`"
            self._need(feature in there, f"{wanted}: {_some(there)}", _hint(feature, there))
            kind = _kind_of(declared.type)
            same = f"feature {feature!r} of the type of its column in feed {case.rows!r}, as the use case has no `engineer`"
            self._need(kind == there[feature], f"{same}: {there[feature]}", kind)

    def _identity(self) -> Iterator[tuple[str, str]]:
        """The columns that identify a row, each after the name of its role."""
        case = self._case
        yield from (("key", column) for column in names(case.key))
        if case.entity is not None:
            yield "entity", case.entity
        if case.event_time is not None:
            yield "event_time", case.event_time

    def _columns(self, feed: str) -> dict[str, str]:
        return {column.name: column.kind for column in ddl.columns(self._case.feeds[feed].schema)}


def _columns_of_label(case: UseCase) -> dict[str, str]:
    """The columns that land with the outcome and nowhere else, and in any case the outcome itself: lower-case names, as
    Spark compares them, with words for a message."""
    before = {name for feed in case.feature_feeds for name in _lower_names(case.feeds[feed].schema)}
    found = {
        name: f"{name!r}, a column of the label's feed {feed!r}"
        for feed in case.outcome_feeds
        for name in _lower_names(case.feeds[feed].schema)
        if name not in before
    }
    return found | {case.label.column.lower(): f"{case.label.column!r}, the label's column"}


def _comparable(kind: str, other: str) -> bool:
    return kind == other or (kind in ddl.WHOLE and other in ddl.WHOLE)


def _lower_names(schema: str) -> list[str]:
    return [column.name.lower() for column in ddl.columns(schema)]


def _kind_of(declared: str) -> str:
    """A feature's type in the one spelling that Spark shows; empty where it is none."""
    try:
        (column,) = ddl.columns(f"feature {declared}")
    except ValueError:
        return ""
    return column.kind


def _hint(column: str, there: Iterable[str]) -> str:
    """A name that is not there, with the nearest name that is. A name that differs only by case is the nearest."""
    same = [name for name in there if name.lower() == column.lower()]
    return f"{column!r}{f' (did you mean {same[0]!r}?)' if same else did_you_mean(column, there)}"


def _some(names: Iterable[str], at_most: int = 12) -> str:
    every: Sequence[Any] = list(names)
    return ", ".join(every[:at_most]) + (f" and {len(every) - at_most} more" if len(every) > at_most else "")
