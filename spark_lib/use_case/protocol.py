"""The protocol of a use case: what an adopter writes, in one module.

    from spark_lib import Feature, Feed, Label, UseCase

    class Churn(UseCase):
        ...

The configuration names the module and the class:

    [pipeline]
    use_case = my_company.churn:Churn

Nothing here imports pyspark, so that planning and a run with nothing to do stay cheap.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from spark_lib.errors import ConfigurationError
from spark_lib.use_case.labels import Outcome

if TYPE_CHECKING:
    from pyspark.ml import Estimator
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Feed:
    """Raw data that others land. ``schema`` is DDL text (``"loan_id STRING, amount DOUBLE"``), and ``key`` is a column
    that is never null and unique within a day.

    A name with other characters than letters, digits and ``_`` stands in backticks in the schema, and without them
    everywhere else: ``Feed("`loan-id` STRING, `amount eur` DOUBLE", key="loan-id")``. Columns of the key, the entity,
    the event time, the label and features have no dot and no backtick in their names. No column of a feed is called
    ``landed``, ``_metadata`` or ``_rank``, because Daystone adds these to raw rows. To Spark, names that differ only in
    upper and lower case are one name.
    """

    schema: str
    key: str


@dataclass(frozen=True)
class Feature:
    """A column of the model's input: its Spark SQL ``type``, and the ``fill`` that null and NaN become in the matrix.

    Without a ``fill`` a null is an error at training and at scoring. ``nominal`` says that a number is a code: its
    values have no order, and nothing lies between two of them. A boolean is always nominal.
    """

    type: str
    fill: float | None = None
    nominal: bool = False


class UseCase(ABC):
    """What Daystone needs to know about a problem. Subclass it, set the attributes, and write ``engineer`` where
    features are more than columns of the scored feed.

    Declarations that cannot work are refused by name before anything runs (``spark_lib.use_case.declarations``).
    """

    #: Feeds by name; every one has a ``[raw.<feed>]`` section of configuration.
    feeds: ClassVar[Mapping[str, Feed]]
    #: The feed whose rows are scored.
    rows: ClassVar[str]
    #: The column of ``rows`` that says whom a row is about. The split never puts one entity on two sides. The entity
    #: may be the key, where every row is about somebody else.
    entity: ClassVar[str]
    #: The column of ``rows`` with the instant at which a row's features are known: TIMESTAMP, TIMESTAMP_NTZ or DATE.
    event_time: ClassVar[str]
    #: A Label, a ClassLabel or a NumberLabel.
    label: ClassVar[Outcome]
    #: The model's columns, in the order of its matrix.
    features: ClassVar[Mapping[str, Feature]]
    #: The use case's own defaults, as ``{"section.key": value}``: ``{"training.label_delay_days": 37}``.
    settings: ClassVar[Mapping[str, Any]] = {}

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The features of ``day``: exactly one row for each of its keys, with the key and ``features``, and no more
        columns.

        ``day`` holds rows of the scored feed. ``history`` maps each feed except the label's to its rows that landed up
        to and including that day, with a ``landed`` date column. To be point-in-time, look only at rows of ``history``
        whose event time is strictly earlier than the row's own.

        The default takes features as they land: each is a column of the scored feed, with the same name and type.
        """
        return day.select(self.key, *self.features)

    def estimator(self, settings: Mapping[str, Any]) -> Estimator[Any]:
        """The unfitted classifier, or the regressor of a number. One of Spark ML works on a vector column ``features`` and a double column ``label``.
        One of scikit-learn, alone or at the end of a pipeline, is fitted on the driver, and scores where the rows are.

        ``settings`` are those of ``[training]``: ``trees``, ``depth``, ``seed``. The default is a random forest of
        Spark.
        """
        from pyspark.ml import classification, regression

        forest = getattr(classification, self.label.forest, None) or getattr(regression, self.label.forest)
        unfitted: Estimator[Any] = forest(
            featuresCol="features",
            labelCol="label",
            numTrees=settings["trees"],
            maxDepth=settings["depth"],
            seed=settings["seed"],
        )
        return unfitted

    @property
    def key(self) -> str:
        """The key column of the scored feed."""
        return self.feeds[self.rows].key

    @property
    def feature_feeds(self) -> list[str]:
        """The feeds that features may see: all except the label's."""
        return [feed for feed in self.feeds if feed != self.label.feed]


#: The columns that scoring adds, besides what the label says, to key, entity and event time.
BY_MODEL = ("model_date", "model_digest")


def refuse(name: str, wanted: str, found: str) -> NoReturn:
    """Raise ConfigurationError for a declaration of the use case ``name``."""
    raise ConfigurationError(f"use case {name}", wanted, found, "correct the declarations of the use case")
