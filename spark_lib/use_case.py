"""The protocol of a use case: what an adopter writes, in one module, and how Daystone finds it.

    [pipeline]
    use_case = my_company.churn:Churn

Nothing here imports pyspark, so that planning and a run with nothing to do stay cheap.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from spark_lib.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from pyspark.ml import Estimator
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Feed:
    """Raw data that others land: ``schema`` as DDL text (``"loan_id STRING, amount DOUBLE"``), ``key`` a column
    that is never null and unique within a day."""

    schema: str
    key: str


@dataclass(frozen=True)
class Label:
    """Where the outcome of a row lands. ``key`` in the label feed refers to the key of the scored feed.

    ``column`` holds one of ``allowed``; ``positive`` is the one that the model gives the probability of. Of several
    outcomes of a key, the latest that landed by the training date counts.
    """

    feed: str
    key: str
    column: str
    positive: str
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Feature:
    """A column of the model's input: its Spark SQL type, and the ``fill`` that null and NaN become in the matrix.

    Without a ``fill`` a null is an error at training and at scoring. ``nominal`` says that a number is a code, whose values
    have no order: nothing lies between two of them. A boolean always is.
    """

    type: str
    fill: float | None = None
    nominal: bool = False


class UseCase(ABC):
    """What Daystone needs to know about a problem. Subclass it, set the attributes, write ``engineer``."""

    #: Feeds by name; every one has a ``[raw.<feed>]`` section of configuration.
    feeds: ClassVar[Mapping[str, Feed]]
    #: The feed whose rows are scored.
    rows: ClassVar[str]
    #: The column of ``rows`` that says whom a row is about (the split never puts one entity on two sides).
    entity: ClassVar[str]
    #: The timestamp column of ``rows`` at which a row's features are known.
    event_time: ClassVar[str]
    label: ClassVar[Label]
    #: The model's columns, in the order of its matrix.
    features: ClassVar[Mapping[str, Feature]]
    #: The use case's own defaults, as ``{"section.key": value}``: ``{"training.label_delay_days": 37}``.
    settings: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The features of ``day``: exactly one row for each key of it, with the key and ``features``, no more.

        ``day`` holds rows of the scored feed. ``history`` maps each feed but the label's to its rows landed up to
        and including that day, with a ``landed`` date column. To be point-in-time, only look at rows of ``history``
        whose event time is strictly earlier than the row's own.
        """

    def estimator(self, settings: Mapping[str, Any]) -> Estimator[Any]:
        """The unfitted Spark ML classifier, on a vector column ``features`` and a double column ``label``.

        ``settings`` are those of ``[training]``: ``trees``, ``depth``, ``seed``. The default is a random forest.
        """
        from pyspark.ml.classification import RandomForestClassifier

        return RandomForestClassifier(
            featuresCol="features",
            labelCol="label",
            numTrees=settings["trees"],
            maxDepth=settings["depth"],
            seed=settings["seed"],
        )

    @property
    def key(self) -> str:
        """The key column of the scored feed."""
        return self.feeds[self.rows].key

    @property
    def feature_feeds(self) -> list[str]:
        """The feeds that features may see: every one but the label's."""
        return [feed for feed in self.feeds if feed != self.label.feed]


SHIPPED = "spark_lib.use_cases"
#: What a float32 matrix can be made of.
NUMERIC = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
#: Columns that Daystone or a model of Spark ML adds to rows of features, and those that it adds to predictions.
RESERVED = ("copy", "date", "features", "label", "landed", "side", "prediction", "probability", "rawPrediction")
PREDICTED = ("score", "model_date", "model_digest")
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def load(name: str) -> UseCase:
    """The use case of a short name (``credit_risk``) or a reference (``my_company.churn:Churn``).

    Raises ConfigurationError where there is none, or where its declarations do not fit together.
    """
    name = normalise(name)
    module_name, _, class_name = _reference_of(name).partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not error.name or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise  # the use case was found, something that it imports was not: the traceback says what
        raise _unknown(name, f"no module {error.name!r}", shipped()) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, UseCase)):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, UseCase)]
        raise _unknown(name, f"no subclass of UseCase named {class_name!r} in {module_name}", classes)
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        _refuse(name, "a class with every method of the protocol", f"none for {missing}")
    case = found()
    _check(name, case)
    return case


@functools.cache
def normalise(name: str) -> str:
    """The one spelling of a use case: the short name for a shipped one, else ``module:Class``."""
    name = name.strip()
    for short in shipped():
        if name in (short, _reference_of(short)):
            return short
    if not _REFERENCE.fullmatch(name):
        raise _unknown(name, "neither a shipped use case nor module:Class", shipped())
    return name


def directory(name: str) -> str:
    """The name of a use case's directory in the lake, of its sections of configuration and the salt of its split."""
    return name.replace(":", ".")


def shipped() -> list[str]:
    """The short names of the use cases that come with Daystone."""
    package = importlib.import_module(SHIPPED)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def _reference_of(name: str) -> str:
    if ":" in name:
        return name
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return f"{SHIPPED}.{name}:{class_name}"


def _unknown(name: str, found: str, known: list[str]) -> ConfigurationError:
    return ConfigurationError(
        f"use case {name!r}",
        "a shipped use case or module:Class that Python can import",
        found + did_you_mean(name.rpartition(":")[2], known),
        f"set [pipeline] use_case to one of {', '.join(shipped())} or to your own module:Class, on PYTHONPATH",
    )


def _refuse(name: str, wanted: str, found: str) -> NoReturn:
    raise ConfigurationError(f"use case {name}", wanted, found, "correct the declarations of the use case")


def _check(name: str, case: UseCase) -> None:
    """Declarations that contradict each other, found before any data is read."""

    def need(good: bool, wanted: str, found: str) -> None:
        if not good:
            _refuse(name, wanted, found)

    for attribute in ("feeds", "rows", "entity", "event_time", "label", "features"):
        need(hasattr(case, attribute), f"an attribute {attribute!r}", "none")
    feeds = sorted(case.feeds)
    need(case.rows in case.feeds, f"`rows` to name one of the feeds {feeds}", repr(case.rows))
    need(case.label.feed in case.feeds, f"the label's feed to be one of {feeds}", repr(case.label.feed))
    need(
        case.label.feed != case.rows,
        "the label to land in a feed of its own",
        f"it lands in {case.rows!r}, with the rows",
    )
    need(case.label.positive in case.label.allowed, f"`positive` among {case.label.allowed}", repr(case.label.positive))
    need(bool(case.features), "at least one feature", "none")
    of_label = _columns_of_label(case)
    for feature, declared in case.features.items():
        known = f"feature {feature!r} to be known when its row is scored, and to have a name that says so"
        need(feature.lower() not in of_label, known, of_label.get(feature.lower(), ""))
        numeric = declared.type.lower().partition("(")[0] in NUMERIC
        need(numeric, f"feature {feature!r} of one of the types {', '.join(NUMERIC)}", repr(declared.type))
    identity = dict.fromkeys([case.key, case.entity, case.event_time])
    for columns, own in ((identity, (*RESERVED, *PREDICTED)), (case.features, RESERVED)):
        for column in columns:
            need(
                column.lower() not in map(str.lower, own) and not column.startswith("_"),
                f"columns of other names than {', '.join(own)} or _anything, which are Daystone's own",
                repr(column),
            )
    for role in ("key", "entity", "event_time"):
        column = getattr(case, role)
        need(
            column not in case.features,
            "features that are none of key, entity and event time",
            f"the {role} {column!r}",
        )
    for setting in case.settings:
        need("." in setting, "settings named section.key", repr(setting))


def _columns_of_label(case: UseCase) -> dict[str, str]:
    """What lands with the outcome and nowhere else, the outcome itself in any case: columns, as Spark compares them."""
    before = {name for feed in case.feature_feeds for name in _column_names(case.feeds[feed].schema)}
    after = _column_names(case.feeds[case.label.feed].schema)
    found = {
        name: f"{name!r}, a column of the label's feed {case.label.feed!r}" for name in after if name not in before
    }
    return found | {case.label.column.lower(): f"{case.label.column!r}, the label's column"}


def _column_names(schema: str) -> list[str]:
    """The lower-case names of the columns of DDL text, which only Spark could parse in full."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", schema)  # comments
    while bare != (outer := re.sub(r"<[^<>]*>|\([^()]*\)", "", bare)):  # what is inside of a type
        bare = outer
    return [name.strip("`").lower() for name in re.findall(r"(?:^|,)\s*(`[^`]+`|\w+)", bare)]
