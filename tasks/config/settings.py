"""The configuration of one use case, as its stages ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from spark_lib import problems
from spark_lib.errors import ConfigurationError, did_you_mean
from spark_lib.lake import Dialect, RawFeed, normalise_root
from spark_lib.lake.feeds import buckets
from spark_lib.lake.stores import s3_client
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.s3_settings import Said
from spark_lib.problems import Problem
from spark_lib.use_case import UseCase, directory
from tasks.config import check, on_stale, resolve, targets
from tasks.config.on_stale import Policies
from tasks.config.resolve import Section
from tasks.config.sections import (
    decision,
    evaluation,
    features,
    image,
    lake,
    lookup,
    mlflow,
    notify,
    pipeline,
    publication,
    raw,
    release,
    retries,
    selection,
    serve,
    spark,
    training,
)

if TYPE_CHECKING:
    from spark_lib.registry.mlflow import Registry
    from spark_lib.targets import Target


class Settings:
    """The resolved configuration of one use case, each section of it as it was when it was first asked for."""

    def __init__(self, name: str, case: UseCase) -> None:
        self.case = case
        self._name = directory(name)
        self._of_feeds: dict[str, raw] = {}

    @cached_property
    def lake(self) -> lake:
        return self._section(lake)

    @cached_property
    def on_stale(self) -> Policies:
        """What a run does about stale partitions. Raises ConfigurationError."""
        return on_stale.parse(self.lake.on_stale, lambda: self.said_by("lake", "on_stale"))

    @cached_property
    def pipeline(self) -> pipeline:
        return self._section(pipeline)

    @cached_property
    def features(self) -> features:
        return self._section(features)

    @cached_property
    def training(self) -> training:
        return self._section(training)

    @cached_property
    def decision(self) -> decision:
        return self._section(decision)

    @cached_property
    def selection(self) -> selection:
        return self._section(selection)

    def is_manual(self, day: date) -> bool:
        """Whether the model of a day is the one that a person has promoted."""
        first: date | None = self.selection.manual_from
        return first is not None and day >= first

    @cached_property
    def release(self) -> release:
        return self._section(release)

    @cached_property
    def evaluation(self) -> evaluation:
        return self._section(evaluation)

    @cached_property
    def lookup(self) -> lookup:
        return self._section(lookup)

    @cached_property
    def image(self) -> image:
        return self._section(image)

    @cached_property
    def serve(self) -> serve:
        return self._section(serve)

    @cached_property
    def notify(self) -> notify:
        return self._section(notify)

    @cached_property
    def retries(self) -> retries:
        return self._section(retries)

    @cached_property
    def publication(self) -> publication:
        return self._section(publication)

    @cached_property
    def mlflow(self) -> mlflow:
        return self._section(mlflow)

    def registry(self, root: str) -> Registry:
        """Where trainings in the lake of a root are tracked. Raises ConfigurationError where no server is set."""
        from spark_lib.registry.mlflow import Registry

        values = self.mlflow
        if not values.uri:
            wanted = "the URL of an MLflow server, as in https://mlflow.example:5000"
            raise ConfigurationError("[mlflow] uri", wanted, "none", "set it, or leave out what needs MLflow")
        return Registry(
            values.uri,
            values.experiment or self._name,
            values.model or self._name,
            values.alias,
            self.name_of_lake(root),
            self._name,
            values.answer_seconds,
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets that a day is published to, in their order."""
        return tuple(dict.fromkeys(check.names_of(self.publication.targets)))

    def target(self, name: str) -> Target:
        """A target of publication by its name. Raises ConfigurationError."""
        return targets.target(name, self.connection)

    def name_of_lake(self, root: str) -> str:
        """The name by which targets tell the lake of a root from others: ``[lake] name``, or the root.

        Raises ConfigurationError where a name is set for the lake of another root: a copy of a lake would publish in the
        name of the lake that it was copied from.
        """
        name = self.lake.name
        if not name:
            return root
        by_root, by_name = self.said_by("lake", "root"), self.said_by("lake", "name")
        is_beside = not by_root.startswith("--") or by_name.startswith("--")
        if root != normalise_root(resolve.default_lake()) or not is_beside:
            raise ConfigurationError(
                by_name,
                f"the name of the lake {root}",
                f"{name!r}, which is set for the lake of another [lake] root",
                "set root and name in one place, or give the name with the root: --set lake.name=NAME",
            )
        return str(name)

    @cached_property
    def spark(self) -> spark:
        return self._section(spark)

    @cached_property
    def problem(self) -> Problem:
        """What the use case's label asks of a model."""
        return problems.of(self.case.label)

    @property
    def first_date(self) -> date:
        """The day on which history begins. Raises ConfigurationError where it is set nowhere."""
        first: date | None = self.pipeline.first_date
        if first is None:
            raise ConfigurationError(
                "[pipeline] first_date",
                "the first day that has landed",
                f"none, and the use case {self._name} declares none",
                "set [pipeline] first_date",
            )
        return first

    def feed(self, root: str, feed: str) -> RawFeed:
        """Where and how a feed lands. Raises ConfigurationError for one that the use case does not declare."""
        if feed not in self.case.feeds:
            raise ConfigurationError(
                f"feed {feed!r}",
                f"one of {', '.join(self.case.feeds)}",
                f"no such feed in the use case {self._name}{did_you_mean(feed, self.case.feeds)}",
                "correct it",
            )
        values = self.of_feed(feed)
        dialect = Dialect(**{option.name: getattr(values, option.name) for option in fields(Dialect)})
        return RawFeed(
            feed,
            root,
            self._name,
            values.path,
            values.format,
            values.flag,
            values.min_rows,
            dialect,
            self._own_connection(values, feed),
        )

    def of_feed(self, feed: str) -> raw:
        """The section ``[raw]`` as it is for a feed."""
        if feed not in self._of_feeds:
            self._of_feeds[feed] = self._section(raw, feed)
        return self._of_feeds[feed]

    def dialects(self, root: str, feeds: Sequence[str]) -> dict[str, Any]:
        """Each option of those feeds that land as CSV, by its name in the configuration."""
        return {
            f"{feed.section}.{option}": value
            for feed in (self.feed(root, name) for name in feeds)
            if feed.format == "csv"
            for option, value in asdict(feed.dialect).items()
        }

    @property
    def connection(self) -> Connection:
        """How the configuration reaches the S3 of the lake."""
        values = self.lake
        endpoint = Said(values.endpoint, self.said_by("lake", "endpoint") if values.endpoint else "")
        return Connection(endpoint, values.trust_unconditional_puts, values.cache)

    def connect(self) -> None:
        """Tell this process how its configuration reaches the S3 of the lake."""
        s3_client.use(self.connection)

    def ways(self, root: str) -> dict[str, buckets.Way]:
        """How each bucket that the lake or a feed lies in is reached; none where nothing lies on S3.

        Raises ConfigurationError for a variable, a setting or a file of AWS's tools that cannot be used, and for a
        bucket that Spark could not find by its name.
        """
        return buckets.ways(root, self.connection, [self.feed(root, feed) for feed in self.case.feeds])

    def said_by(self, family: str, key: str, feed: str = "") -> str:
        """The option or the setting that has set a value; its usual name where nothing has."""
        texts = resolve.texts(family, key, self._sections(family, feed), self._defaults(family, feed))
        return next((place for place, _ in texts), f"[{family}] {key}")

    def check(self) -> None:
        """Resolve and check everything. Raises ConfigurationError for the first value that cannot work."""
        check.names(self._name, self.case)
        check.values(self.problem, self.training, self.lake, self.spark, self.said_by)
        _ = self.on_stale  # raises for a word that is no policy
        check.snapshot(self.features.snapshot, self.said_by)
        check.decision(self.problem, self.decision, self.said_by)
        check.release(self.case, self.release, self.said_by)
        check.evaluation(self.case, self.problem, self.evaluation, self.said_by)
        check.serve(self.serve, self.said_by)
        check.image(self.image.base, self.said_by)
        check.lookup(self.problem, self.lookup, self.said_by)
        check.mlflow(self.mlflow, self.said_by)
        check.notify(self.notify, self.said_by)
        check.retries(self.retries, self.said_by)
        targets.check(self.targets, lambda: self.said_by("publication", "targets"))
        check.texts(self.case, self.training.balancing, self.said_by)
        check.first_date(self.first_date, self.said_by)
        for feed, declared in self.case.feeds.items():
            check.feed(self.feed("", feed), declared, partial(self.said_by, feed=feed))

    def _own_connection(self, values: raw, feed: str) -> Connection | None:
        """That of a feed which names a server or a profile of its own; the lake's server counts where it names none."""
        if not values.endpoint and not values.profile:
            return None
        own, profile = (
            Said(getattr(values, key), self.said_by("raw", key, feed) if getattr(values, key) else "")
            for key in ("endpoint", "profile")
        )
        return replace(self.connection, own=own, profile=profile)

    def _section(self, section: type[Section], feed: str = "") -> Section:
        family = section.__name__
        return section(**dict(resolve.values(section, self._sections(family, feed), self._defaults(family, feed))))

    def _sections(self, family: str, feed: str) -> list[str]:
        of_feed = [f"{family}.{feed}.{self._name}", f"{family}.{feed}"] if feed else [f"{family}.{self._name}"]
        return [*of_feed, family]

    def _defaults(self, family: str, feed: str) -> dict[str, Any]:
        prefixes = [f"{family}.", f"{family}.{feed}."] if feed else [f"{family}."]  # the last one wins
        return {
            key.removeprefix(prefix): value
            for prefix in prefixes
            for key, value in {**self.problem.defaults, **self.case.settings}.items()
            if key.startswith(prefix)
        }
