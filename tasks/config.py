"""Configuration: one class a section, so that Luigi's own command line overrides every value (``--training-cadence``).

Precedence: command line, ``[section.<use_case>]``, ``[section]``, the use case's ``settings``, the defaults here.
A feed's section is ``[raw.<feed>.<use_case>]``, then ``[raw.<feed>]``, then ``[raw]`` for what all feeds share.
"""

from __future__ import annotations

import configparser
import difflib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import luigi
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import get_config

from spark_lib.errors import ConfigurationError, did_you_mean
from spark_lib.lake import DEFAULT_PATH, Dialect, RawFeed, is_s3
from spark_lib.lake.feeds.dialect import is_held
from spark_lib.lake.feeds.raw import not_held
from spark_lib.lake.stores import s3_client
from spark_lib.lake.stores.s3_settings import Said, checked_url
from spark_lib.learning.choices import BALANCING, CALIBRATION, CONSTANT_COLUMNS, SPLITS, check_calibration
from spark_lib.use_case import UseCase, ddl, directory, load, shipped
from tasks import config_files, defaults, value_rules

CADENCES = ("daily", "weekly", "monthly")


class lake(luigi.Config):
    root = luigi.Parameter(default="lake", description="where the lake is: a local directory or s3://bucket/prefix")
    endpoint = luigi.Parameter(default="", description="of S3, unless S3_ENDPOINT or AWS_ENDPOINT_URL_S3 is set")
    trust_unconditional_puts = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="use an S3 server that ignores conditions",
    )
    cache = luigi.Parameter(default="", description="where manifests from S3 are kept; default: the user's cache")
    max_records_per_file = luigi.IntParameter(default=5_000_000, description="rows of a Parquet file, at most")
    max_attempt_hours = luigi.FloatParameter(default=24.0, description="an older attempt refuses to publish")


class pipeline(luigi.Config):
    use_case = luigi.Parameter(default="credit_risk", description="a shipped use case or module:Class")
    # Luigi declares no None for a default, and takes one.
    first_date: date | None = luigi.DateParameter(default=None, description="the first landed day: history begins here")  # type: ignore[arg-type]


class training(luigi.Config):
    cadence = luigi.Parameter(default="weekly", description="when a model is trained: " + ", ".join(CADENCES))
    window_days = luigi.IntParameter(default=28, description="landed days in a training set")
    label_delay_days = luigi.IntParameter(default=21, description="days until an outcome is taken as landed")
    max_unlabelled = luigi.FloatParameter(default=0.01, description="rows of the window without an outcome, at most")
    split = luigi.Parameter(default="entity", description="what keeps the splits apart: entity or time")
    train_validation_split_proportion = luigi.FloatParameter(default=0.8, description="of the split, not validated on")
    calibration_proportion = luigi.FloatParameter(
        default=0.1, description="of the split, calibrated on and not trained on"
    )
    balancing = luigi.Parameter(default="undersample", description="of the training rows: " + ", ".join(BALANCING))
    target_ratio = luigi.FloatParameter(
        default=1.0, description="rows of the rarer class over the other's, after balancing"
    )
    smote_neighbours = luigi.IntParameter(default=5, description="that a synthetic row may lie towards")
    calibration = luigi.Parameter(default="auto", description="of the scores: " + ", ".join(CALIBRATION))
    constant_columns = luigi.Parameter(
        default="auto", description="what columns with one value or none are: " + ", ".join(CONSTANT_COLUMNS)
    )
    min_area_under_roc = luigi.FloatParameter(default=0.6, description="gate, lower end, on natural validation rows")
    min_area_under_pr = luigi.FloatParameter(default=0.0, description="gate, lower end, on natural validation rows")
    max_calibration_error = luigi.FloatParameter(default=0.1, description="gate, upper end, on natural validation rows")
    min_positives = luigi.IntParameter(default=200, description="fewer labelled positives are inconclusive")
    bootstrap_replicates = luigi.IntParameter(default=500, description="draws behind each interval")
    confidence = luigi.FloatParameter(default=0.95, description="of the intervals")
    champion_margin = luigi.FloatParameter(
        default=0.05, description="area under ROC that a model may lose against the one before it; 1: not compared"
    )
    max_candidates = luigi.IntParameter(default=8, description="trainings that a selection looks back on")
    trees = luigi.IntParameter(default=20, description="trees of the random forest")
    depth = luigi.IntParameter(default=5, description="depth of each tree")
    seed = luigi.IntParameter(default=0, description="seed of balancing and of the estimator")


class raw(luigi.Config):
    path = luigi.Parameter(default=DEFAULT_PATH, description="a day's directory, with {date:%Y-%m-%d}")
    format = luigi.Parameter(default="parquet", description="parquet or csv")
    flag = luigi.Parameter(default="_SUCCESS", description="the file that lands last")
    min_rows = luigi.IntParameter(default=0, description="fewer rows in a landed day are an error")
    separator = luigi.Parameter(default=",", description="of CSV: the sign between values, or tab")
    decimal_mark = luigi.Parameter(default=".", description="of CSV: the sign before a number's fraction, . or ,")
    encoding = luigi.Parameter(
        default="utf-8", description="of CSV: as Python names it, like latin-1, cp1252 or utf-16"
    )
    null_text = luigi.Parameter(default="", description="of CSV: what stands, without quotes, for no value")
    header = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="of CSV: whether the first line names the columns; else they are the schema's, in its order",
    )
    date_pattern = luigi.Parameter(default="", description="of CSV: how dates are written; default: 2026-01-31")
    timestamp_pattern = luigi.Parameter(
        default="", description="of CSV: how times are written; default: 2026-01-31T09:30:00Z"
    )
    timezone = luigi.Parameter(
        default="", description="of CSV: of timestamps without a zone, like UTC or Europe/Berlin"
    )


class spark(luigi.Config):
    master = luigi.Parameter(default="local[*]", description="any Spark master")
    driver_memory = luigi.Parameter(default="2g", description="heap of the driver's JVM")
    shuffle_partitions = luigi.OptionalIntParameter(
        default=None,
        description="before adaptive execution merges small ones; default: from the bytes that a stage reads",
    )
    quick_start = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="on local masters: a class-data archive where one was made, and the serial collector",
    )
    conf: dict[str, str] = luigi.DictParameter(default={}, description="further Spark settings, as JSON")


class log(luigi.Config):
    directory = luigi.Parameter(
        default="", description="where Spark's and run.py's log goes; default: the state directory"
    )


#: Proportions of [training] that may be 0 and 1.
_SHARES = ("min_area_under_roc", "min_area_under_pr", "max_calibration_error", "max_unlabelled", "champion_margin")
#: A hundred years.
MOST_DAYS = 36_500
#: Spark's own limit of a tree's depth.
DEEPEST = 30
#: What is asked before the use case is known, so that no section of one use case can say it.
SHARED = {("lake", "root"), ("pipeline", "use_case"), ("log", "directory")}
#: What run.py's options say, by section and key.
_GIVEN: dict[tuple[str, str], str] = {}
SECTIONS: dict[str, type[luigi.Config]] = {
    section.__name__: section for section in (lake, pipeline, training, raw, spark, log)
}
Section = TypeVar("Section", bound=luigi.Config)


class Settings:
    """The resolved configuration of one use case."""

    def __init__(self, name: str, case: UseCase) -> None:
        self._name = directory(name)
        self._case = case

    @property
    def lake(self) -> lake:
        return self._section(lake)

    @property
    def pipeline(self) -> pipeline:
        return self._section(pipeline)

    @property
    def training(self) -> training:
        return self._section(training)

    @property
    def spark(self) -> spark:
        return self._section(spark)

    @property
    def first_date(self) -> date:
        """The day on which history begins. Raises ConfigurationError where nobody has said it."""
        first: date | None = self.pipeline.first_date
        if first is None:
            raise ConfigurationError(
                "[pipeline] first_date",
                "the first day that has landed",
                f"none, and the use case {self._name} declares none",
                "set it in luigi.cfg or with --pipeline-first-date",
            )
        return first

    def feed(self, root: str, feed: str) -> RawFeed:
        """Where and how a feed lands. Raises ConfigurationError for one that the use case does not declare."""
        if feed not in self._case.feeds:
            raise ConfigurationError(
                f"feed {feed!r}",
                f"one of {', '.join(self._case.feeds)}",
                f"no such feed in the use case {self._name}{did_you_mean(feed, self._case.feeds)}",
                "correct it",
            )
        values = self._section(raw, feed)
        dialect = Dialect(**{option.name: getattr(values, option.name) for option in fields(Dialect)})
        return RawFeed(feed, root, self._name, values.path, values.format, values.flag, values.min_rows, dialect)

    def dialects(self, root: str, feeds: Sequence[str]) -> dict[str, Any]:
        """Each option of those feeds that land as CSV, by its name in the configuration."""
        return {
            f"{feed.section}.{option}": value
            for feed in (self.feed(root, name) for name in feeds)
            if feed.format == "csv"
            for option, value in asdict(feed.dialect).items()
        }

    def on_s3(self, root: str) -> bool:
        """Whether the lake or any feed lies on S3."""
        return any(map(is_s3, [root, *(self.feed(root, feed).directory(date.min) for feed in self._case.feeds)]))

    def connect(self) -> None:
        """Tell this process how its configuration reaches S3."""
        values = self.lake
        s3_client.configure(
            values.endpoint, values.trust_unconditional_puts, values.cache, endpoint_by=self.said_by("lake", "endpoint")
        )

    def check_server(self, root: str) -> None:
        """See, where the lake or a feed lies on S3, that its server is named so that it can be asked.

        Raises ConfigurationError for a variable, a setting or a file of AWS's tools that cannot be used.
        """
        if self.on_s3(root):
            s3_client.server()

    def said_by(self, family: str, key: str) -> str:
        """The option or the setting that has set a value; its usual name where nothing has."""
        texts = _texts(family, key, self._sections(family, ""), self._defaults(family, ""))
        return next((place for place, _ in texts), f"[{family}] {key}")

    def check(self) -> None:
        """Resolve and check everything. Raises ConfigurationError for the first value that cannot work."""
        check_names(self._name, self._case)
        values = self.training
        for name, choices in (
            ("cadence", CADENCES),
            ("split", SPLITS),
            ("balancing", BALANCING),
            ("calibration", CALIBRATION),
            ("constant_columns", CONSTANT_COLUMNS),
        ):
            _one_of("training", name, getattr(values, name), choices)
        for name in ("window_days", "max_candidates", "trees", "depth", "smote_neighbours", "bootstrap_replicates"):
            _at_least("training", name, getattr(values, name), 1)
        _between(
            "training", "depth", values.depth, values.depth <= DEEPEST, f"from 1 to {DEEPEST}, as Spark's trees are"
        )
        for name in ("label_delay_days", "min_positives", "seed"):
            _at_least("training", name, getattr(values, name), 0)
        for name in ("window_days", "label_delay_days", "max_candidates"):
            bounds = f"of at most {MOST_DAYS:,}"
            _between("training", name, getattr(values, name), getattr(values, name) <= MOST_DAYS, bounds)
        if not isinstance(self.spark.conf, Mapping):
            wanted = 'a JSON object of Spark\'s settings, as {"spark.ui.port": "4050"}'
            raise ConfigurationError("[spark] conf", wanted, "JSON that is none", "correct it")
        if self.lake.endpoint:
            checked_url(Said(self.lake.endpoint, self.said_by("lake", "endpoint")))
        _at_least("lake", "max_records_per_file", self.lake.max_records_per_file, 1)
        hours = self.lake.max_attempt_hours
        _between("lake", "max_attempt_hours", hours, hours > 0, "above 0")
        if self.spark.shuffle_partitions is not None:
            _at_least("spark", "shuffle_partitions", self.spark.shuffle_partitions, 1)
        for name in _SHARES:
            _between("training", name, getattr(values, name), 0.0 <= getattr(values, name) <= 1.0, "from 0 to 1")
        for name in ("train_validation_split_proportion", "confidence"):
            _between("training", name, getattr(values, name), 0.0 < getattr(values, name) < 1.0, "between 0 and 1")
        draws = math.ceil(2 / (1 - values.confidence) - 1e-9)
        enough = f"{draws} or more, for the ends of an interval of confidence {values.confidence:g}"
        _between(
            "training",
            "bootstrap_replicates",
            values.bootstrap_replicates,
            values.bootstrap_replicates >= draws,
            enough,
        )
        ratio, apart = values.target_ratio, values.calibration_proportion
        _between("training", "target_ratio", ratio, 0.0 < ratio <= 1.0, "above 0, at most 1")
        least = 0.0 <= apart < values.train_validation_split_proportion
        _between("training", "calibration_proportion", apart, least, "from 0, below train_validation_split_proportion")
        check_calibration(values.calibration, values.balancing, apart)
        _ = self.first_date
        for feed in self._case.feeds:
            _at_least(f"raw.{feed}", "min_rows", self.feed("", feed).min_rows, 0)
            self._check_types(feed)

    def _check_types(self, feed: str) -> None:
        """Refuse a CSV feed with a column that CSV cannot hold."""
        where = self.feed("", feed)
        for column in ddl.columns(self._case.feeds[feed].schema) if where.format == "csv" else ():
            if not is_held(column.kind):
                raise not_held(where, column.name, column.kind)

    def _section(self, section: type[Section], feed: str = "") -> Section:
        family = section.__name__
        return section(**dict(_values(section, self._sections(family, feed), self._defaults(family, feed))))

    def _sections(self, family: str, feed: str) -> list[str]:
        of_feed = [f"{family}.{feed}.{self._name}", f"{family}.{feed}"] if feed else [f"{family}.{self._name}"]
        return [*of_feed, family]

    def _defaults(self, family: str, feed: str) -> dict[str, Any]:
        prefixes = [f"{family}.", f"{family}.{feed}."] if feed else [f"{family}."]  # the last one wins
        return {
            key.removeprefix(prefix): value
            for prefix in prefixes
            for key, value in self._case.settings.items()
            if key.startswith(prefix)
        }


def _values(
    section: type[luigi.Config], sections: Sequence[str], defaults: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """What is set for each parameter, by precedence; one that is set nowhere is left to the class's default."""
    for name, parameter in section.get_params():
        for place, text in _texts(section.__name__, name, sections, defaults):
            yield name, parsed(parameter, place, text)
            break


def parsed(parameter: luigi.Parameter[Any], place: str, text: str) -> Any:
    """The value of a parameter. Raises ConfigurationError, naming ``place``, for what is none of its type."""
    is_json = isinstance(parameter, luigi.DictParameter)
    value_rules.check(place, str(text), is_json)
    try:
        return parameter.parse(text)
    except (ValueError, TypeError) as error:
        with_a_comment = None if is_json else value_rules.comment(place, str(text))
        if with_a_comment:
            raise with_a_comment from error
        raise ConfigurationError(place, _kind(parameter), repr(text), "correct it") from error


def _kind(parameter: luigi.Parameter[Any]) -> str:
    if isinstance(parameter, luigi.ChoiceParameter):
        return f"one of {', '.join(sorted(map(str, parameter._choices)))}"
    return f"a value of type {type(parameter).__name__.removesuffix('Parameter').lower() or 'text'}"


def _texts(family: str, name: str, sections: Sequence[str], defaults: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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
        text = json.dumps(dict(value)) if isinstance(value, Mapping) else str(value)
        yield f"the use case's setting {family}.{name}", text


def in_files(section: str, name: str) -> str | None:
    """What the files say. Raises ConfigurationError for what Luigi cannot expand."""
    try:
        text: str | None = get_config().get(section, name, None)
    except configparser.Error as error:
        raise ConfigurationError(
            f"[{section}] {name}",
            "a value that Luigi can read",
            " ".join(str(error).split()),
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
    get_config().set(section, key, value.replace("%", "%%"))  # for what is read through Luigi, which interpolates


def given(section: str, key: str) -> bool:
    """Whether an option of run.py has set a value."""
    return (section, key) in _GIVEN


def all_given() -> dict[tuple[str, str], str]:
    """What options of run.py have set, by section and key."""
    return dict(_GIVEN)


def default_use_case() -> str:
    """The use case to take where none is given."""
    return str(_shared(pipeline).use_case)


def default_lake() -> str:
    """The lake to take where none is given."""
    return str(_shared(lake).root)


def _shared(section: type[Section]) -> Section:
    """A section as it is for every use case."""
    return section(**dict(_values(section, [section.__name__], {})))


def log_file() -> Path:
    """The file that takes today's chatter of Spark (and of Luigi, under run.py); its directory is made."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    directory = Path(_shared(log).directory or os.path.join(state, "daystone")).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            "[log] directory",
            "a directory that can be made",
            f"{directory}: {error.strerror}",
            "set it with --log-directory",
        ) from error
    return directory / f"{datetime.now(UTC):%Y-%m-%d}.log"


def check_files() -> None:
    """Raise ConfigurationError for a file that is there, or was asked for, and cannot be read whole: Luigi would go on
    without it, and build in another lake."""
    config_files.check(defaults.files())


def refused_values() -> Iterator[ConfigurationError]:
    """Each value of our sections that is refused for how it is written, whether it is the one that holds or not."""
    parser = get_config()
    for section in parser.sections():
        if section.partition(".")[0] in SECTIONS:
            for key in parser.options(section):
                error = refused_value(section, key)
                if error:
                    yield error


def refused_value(section: str, key: str) -> ConfigurationError | None:
    """Why a value of any section is refused for how it is written, or cannot be expanded; else None."""
    place = f"--set {section}.{key}" if given(section, key) else f"[{section}] {key}"
    try:
        return value_rules.refusal(
            place, in_files(section, key) or "", (section.partition(".")[0], key) == ("spark", "conf")
        )
    except ConfigurationError as unexpanded:
        return unexpanded


def check_names(use_case: str, case: UseCase) -> None:
    """Raise ConfigurationError for a section or key that looks like one of ours and is none."""
    parser = get_config()
    suffixes = {
        "",
        *(f".{feed}" for feed in case.feeds),
        f".{use_case}",
        *(f".{feed}.{use_case}" for feed in case.feeds),
    }
    for section in parser.sections():
        family, dot, suffix = section.partition(".")
        if family in SECTIONS:
            keys = [name for name, _ in SECTIONS[family].get_params()]
            for key in parser.options(section):
                if key not in keys and key not in parser.defaults():
                    raise ConfigurationError(
                        f"[{section}] {key}",
                        f"one of {', '.join(keys)}",
                        f"an unknown key{did_you_mean(key, keys)}",
                        "correct or remove it",
                    )
                if dot and (family, key) in SHARED:
                    raise ConfigurationError(
                        f"[{section}] {key}", f"it in [{family}]: it is one for all use cases", "it here", "move it"
                    )
            if family == "raw" and suffix == use_case and suffix not in case.feeds:
                raise ConfigurationError(
                    f"[{section}]",
                    "a section of a feed",
                    "one of all feeds of a use case",
                    f"name the feed: [raw.FEED.{suffix}]",
                )
            if dot and f".{suffix}" not in suffixes and not _of_another_use_case(family, suffix):
                _refuse_near_miss(section, [family + known for known in suffixes if known])
        elif family not in luigi.task_register.Register.task_names() or family.lower() in SECTIONS:
            _refuse_near_miss(section, list(SECTIONS))
    families = SECTIONS | {f"raw.{feed}": raw for feed in case.feeds}
    settings = [f"{family}.{key}" for family, section in families.items() for key, _ in section.get_params()]
    for setting in case.settings:
        if tuple(setting.rsplit(".", 1)) in SHARED:
            raise ConfigurationError(
                f"setting {setting!r} of use case {use_case}",
                "a setting of one use case",
                "one that is the same for all",
                "remove it there, and set it in luigi.cfg",
            )
        if setting not in settings:
            raise ConfigurationError(
                f"setting {setting!r} of use case {use_case}",
                "section.key of the configuration",
                f"an unknown key{did_you_mean(setting, settings)}",
                "correct or remove it",
            )


def _of_another_use_case(family: str, suffix: str) -> bool:
    name = suffix.partition(".")[2] if family == "raw" else suffix
    try:
        load(name if name in shipped() else ":".join(name.rsplit(".", 1)))
    except (ConfigurationError, ImportError):
        return False
    return True


def _refuse_near_miss(section: str, known: list[str]) -> None:
    """A section of something else is none of our business; one that differs from ours by a letter is a slip."""
    close = difflib.get_close_matches(section.lower(), known, n=1, cutoff=0.8)
    if close:
        raise ConfigurationError(
            f"[{section}]", "a known section", f"an unknown one (did you mean {close[0]!r}?)", "correct or remove it"
        )


def _one_of(section: str, name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        found = repr(value) + did_you_mean(value, choices)
        raise ConfigurationError(f"[{section}] {name}", f"one of {', '.join(choices)}", found, "correct it")


def _at_least(section: str, name: str, value: float, least: float) -> None:
    _between(section, name, value, value >= least, f"of at least {least}")


def _between(section: str, name: str, value: float, good: bool, bounds: str) -> None:
    if not good:
        raise ConfigurationError(f"[{section}] {name}", f"a value {bounds}", f"{value}", "correct it")
