"""Refuses values, sections and keys that cannot work, each by its name, before anything runs."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import luigi
from luigi.configuration import get_config

from spark_lib.errors import ConfigurationError, did_you_mean
from spark_lib.evaluation import bounds
from spark_lib.lake import RawFeed
from spark_lib.lake.feeds.dialect import is_held
from spark_lib.lake.feeds.raw import not_held
from spark_lib.lake.stores.s3_settings import Said, checked_url
from spark_lib.problems import fallbacks
from spark_lib.problems.options import CONSTANT_COLUMNS, SPLITS
from spark_lib.problems.problem import Problem
from spark_lib.use_case import Feed, UseCase, ddl, load, shipped
from tasks.config import addresses, defaults, files, resolve, sections, shown, targets, value_rules
from tasks.config.sections import CADENCES, NO_SNAPSHOTS, SECTIONS, SHARED, raw

#: The option or the setting that has set a value, by section and key.
SaidBy = Callable[[str, str], str]
#: Proportions of [training] that may be 0 and 1.
_SHARES = (
    *("min_area_under_roc", "min_area_under_pr", "max_calibration_error", "min_accuracy", "min_macro_f1"),
    *("min_out_of_time_area_under_roc", "max_unlabelled", "champion_margin"),
)
#: The most days that a setting may say: a hundred years.
MOST_DAYS = 36_500
#: The days that can be asked for. Windows and delays reach beyond them, and stay within Python's calendar.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
#: The last port of TCP, and the most seconds between two looks for a model, or for MLflow: a day.
LAST_PORT, MOST_SECONDS = 65_535, 86_400
#: The server of MLflow, and the names that every part of it takes.
_SERVER = re.compile(r"https?://[^/\s]+(/\S*)?")
_NAME_IN_MLFLOW = re.compile(r"[\w.-]+( [\w.-]+)*")
#: The most seconds that a message may take, the most repetitions of a run, and the most seconds before the first one.
MOST_TIMEOUT, MOST_RETRIES, MOST_DELAY = 300, 10, 3_600
#: The causes that [retries] on can name; tasks/cli/retries.py says which errors they are.
RETRIED = ("scheduler", "store")
#: Spark's own limit of a tree's depth.
DEEPEST = 30


def values(
    problem: Problem, training: sections.training, lake: sections.lake, spark: sections.spark, said_by: SaidBy
) -> None:
    """Raise ConfigurationError for the first value that cannot work for the use case's problem. Values of feeds are left to
    ``feed``. ``said_by`` names what has set a value."""
    rules = _Rules(said_by)
    for name, choices in (
        ("cadence", CADENCES),
        ("split", SPLITS),
        ("balancing", problem.balancing),
        ("calibration", problem.calibration),
        ("constant_columns", CONSTANT_COLUMNS),
    ):
        rules.one_of("training", name, getattr(training, name), choices)
    counts = ("window_days", "max_candidates", "trees", "depth", "smote_neighbours", "bootstrap_replicates")
    for name in (*counts, "max_categories"):
        rules.at_least("training", name, getattr(training, name), 1)
    rules.between(
        "training",
        "depth",
        training.depth,
        training.depth <= DEEPEST,
        f"from 1 to {DEEPEST}, as Spark's trees are",
    )
    for name in ("label_delay_days", "min_positives", "min_labelled", "seed"):
        rules.at_least("training", name, getattr(training, name), 0)
    for name in ("window_days", "label_delay_days", "max_candidates"):
        bounds = f"of at most {MOST_DAYS:,}"
        rules.between("training", name, getattr(training, name), getattr(training, name) <= MOST_DAYS, bounds)
    if not isinstance(spark.conf, Mapping):
        wanted = 'a JSON object of Spark\'s settings, as {"spark.ui.port": "4050"}'
        raise ConfigurationError(said_by("spark", "conf"), wanted, "JSON that is none", "correct it")
    if lake.endpoint:
        checked_url(Said(lake.endpoint, said_by("lake", "endpoint")))
    rules.at_least("lake", "max_records_per_file", lake.max_records_per_file, 1)
    hours = lake.max_attempt_hours
    rules.between("lake", "max_attempt_hours", hours, hours > 0, "above 0")
    rules.at_least("lake", "ask_above", lake.ask_above, 0)
    rules.at_least("spark", "scores_from_mb", spark.scores_from_mb, 0)
    if spark.shuffle_partitions is not None:
        rules.at_least("spark", "shuffle_partitions", spark.shuffle_partitions, 1)
    for name in _SHARES:
        rules.between("training", name, getattr(training, name), 0.0 <= getattr(training, name) <= 1.0, "from 0 to 1")
    for name in ("max_log_loss", "max_rmse", "max_mae"):
        if getattr(training, name) is not None:
            rules.at_least("training", name, getattr(training, name), 0)
    if training.min_coverage is not None:
        rules.between("training", "min_coverage", training.min_coverage, 0 <= training.min_coverage <= 1, "from 0 to 1")
    for name in ("train_validation_split_proportion", "confidence", "coverage"):
        rules.between("training", name, getattr(training, name), 0.0 < getattr(training, name) < 1.0, "between 0 and 1")
    draws = math.ceil(2 / (1 - training.confidence) - 1e-9)
    enough = f"{draws} or more, for the ends of an interval of confidence {training.confidence:g}"
    rules.between(
        "training",
        "bootstrap_replicates",
        training.bootstrap_replicates,
        training.bootstrap_replicates >= draws,
        enough,
    )
    ratio, apart = training.target_ratio, training.calibration_proportion
    rules.between("training", "target_ratio", ratio, 0.0 < ratio <= 1.0, "above 0, at most 1")
    least = 0.0 <= apart < training.train_validation_split_proportion
    rules.between("training", "calibration_proportion", apart, least, "from 0, below train_validation_split_proportion")
    problem.check({name: getattr(training, name) for name, _ in training.get_params()})
    if training.min_out_of_time_area_under_roc and not training.out_of_time:
        raise ConfigurationError(
            said_by("training", "min_out_of_time_area_under_roc"),
            "[training] out_of_time = true, which measures what this gate judges",
            "false",
            "set it to true, or this gate to 0",
        )


def snapshot(cadence: str, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a cadence of snapshots that is none."""
    _Rules(said_by).one_of("features", "snapshot", cadence, (NO_SNAPSHOTS, *CADENCES))


def decision(problem: Problem, values: sections.decision, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a threshold that decides nothing, or that the use case's problem has no use for."""
    for name, _ in values.get_params():
        value = getattr(values, name)
        if value is not None and name not in problem.decisions:
            raise ConfigurationError(
                said_by("decision", name),
                f"none for a label of this kind ({problem.name})",
                f"{value}",
                "remove it, or set it in the section of the use case that it is for, [decision.<use case>]",
            )
    threshold = values.threshold
    if threshold is not None:
        _Rules(said_by).between("decision", "threshold", threshold, 0.0 < threshold < 1.0, "between 0 and 1")


def release(case: UseCase, values: sections.release, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a setting of releases that cannot work."""
    rules = _Rules(said_by)
    for name in names_of(values.unchecked_features):
        if name not in case.features:
            wanted = f"features of the use case ({', '.join(case.features)})"
            found = f"{name!r}{did_you_mean(name, case.features)}"
            raise ConfigurationError(said_by("release", "unchecked_features"), wanted, found, "correct it")
    rules.at_least("release", "max_psi", values.max_psi, 0)
    change = values.max_share_change
    rules.between("release", "max_share_change", change, 0.0 <= change <= 1.0, "from 0 to 1")
    for name in ("max_mean_ratio", "max_rows_ratio"):
        rules.at_least("release", name, getattr(values, name), 1)
    for name in ("look_back_days", "min_days", "min_rows"):
        rules.at_least("release", name, getattr(values, name), 1)
    most = f"of at most {MOST_DAYS:,}"
    rules.between("release", "look_back_days", values.look_back_days, values.look_back_days <= MOST_DAYS, most)


def evaluation(case: UseCase, problem: Problem, values: sections.evaluation, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a window that cannot work, and for a bound that nothing can be held against: of another
    kind of problem, or of a metric that the columns of predictions do not say."""
    rules = _Rules(said_by)
    window, most = values.window_days, f"from 1 to {MOST_DAYS:,}"
    rules.between("evaluation", "window_days", window, 1 <= window <= MOST_DAYS, most)
    known = bounds.settings_of(problem)
    for name, value in ((name, getattr(values, name)) for name in _bounds_of_evaluations()):
        if value is None:
            continue
        if name not in known:
            raise ConfigurationError(
                said_by("evaluation", name),
                f"one of {', '.join(known)} for predictions of this kind ({problem.name})",
                f"{value:g}",
                "remove it, or set it in the section of the use case that it is for, [evaluation.<use case>]",
            )
        rules.between("evaluation", name, value, *_sense(name, value))
    try:
        on_segments = bounds.parse_segments(values.segment_bounds, known, case.segments)
    except bounds.UnreadableBound as error:
        wanted = "bounds on segments, as in min_area_under_roc: 0.55, channel.min_area_under_roc: 0.5"
        raise ConfigurationError(said_by("evaluation", "segment_bounds"), wanted, str(error), "correct it") from None
    for each in on_segments:
        rules.between("evaluation", "segment_bounds", each.bound, *_sense(each.setting, each.bound))


def _bounds_of_evaluations() -> Iterator[str]:
    return (name for name, _ in sections.evaluation.get_params() if name.startswith(("min_", "max_")))


def _sense(name: str, value: float) -> tuple[bool, str]:
    """Whether a bound can be met and missed, and what would be wanted: errors have no greatest value, R2 no least."""
    if name in ("max_log_loss", "max_rmse", "max_mae"):
        return 0 <= value < math.inf, "0 or more"
    return (value <= 1, "at most 1") if name == "min_r2" else (0 <= value <= 1, "from 0 to 1")


def names_of(listed: str) -> tuple[str, ...]:
    """The names in a value that lists them with commas between."""
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def lookup(problem: Problem, values: sections.lookup, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a fallback that the use case's problem cannot have, and for a negative age."""
    fallbacks.constant(problem, values.fallback, said_by("lookup", "fallback"))
    if values.max_age_days is not None:
        _Rules(said_by).at_least("lookup", "max_age_days", values.max_age_days, 0)


def image(base: str, said_by: SaidBy) -> None:
    """Raise ConfigurationError where ``[image] base`` names neither an image nor a directory."""
    if base:
        from spark_lib.registry.image import reference  # who builds no images needs nothing of it

        reference.check_base(base, said_by("image", "base"))


def serve(values: sections.serve, said_by: SaidBy) -> None:
    """Raise ConfigurationError for the first value by which nothing can be served."""
    rules = _Rules(said_by)
    rules.between("serve", "port", values.port, 0 <= values.port <= LAST_PORT, f"from 0 to {LAST_PORT}")
    rules.at_least("serve", "max_rows", values.max_rows, 1)
    rules.at_least("serve", "max_body_bytes", values.max_body_bytes, 1)
    rules.between(
        "serve",
        "poll_seconds",
        values.poll_seconds,
        0 < values.poll_seconds <= MOST_SECONDS,
        f"above 0, at most {MOST_SECONDS}",
    )


def mlflow(values: sections.mlflow, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a server, a name or a time by which nothing can be tracked."""
    if not values.uri:
        return
    if shown.holds_password("uri", values.uri) or "@" in values.uri:
        step = "put it into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or into MLFLOW_TRACKING_TOKEN"
        raise ConfigurationError(said_by("mlflow", "uri"), "a URL without a password", shown.NOT_SHOWN, step)
    if not _SERVER.fullmatch(values.uri):
        wanted = "the URL of a server, as in https://mlflow.example:5000"
        raise ConfigurationError(said_by("mlflow", "uri"), wanted, repr(values.uri), "correct it")
    for name in ("experiment", "model", "alias"):
        value = getattr(values, name)
        if not _NAME_IN_MLFLOW.fullmatch(value) and (value or name == "alias"):
            wanted = "a name of letters, digits, spaces and _ - ."
            raise ConfigurationError(said_by("mlflow", name), wanted, repr(value), "correct it")
    rules = _Rules(said_by)
    rules.at_least("mlflow", "answer_seconds", values.answer_seconds, 1)
    rules.between(
        "mlflow",
        "max_seconds",
        values.max_seconds,
        0 < values.max_seconds <= MOST_SECONDS,
        f"above 0, at most {MOST_SECONDS}",
    )


def notify(values: sections.notify, said_by: SaidBy) -> None:
    """Raise ConfigurationError for an address that holds a secret, and for a time that is none."""
    addresses.check(values.urls.split(), said_by("notify", "urls"))
    rules = _Rules(said_by)
    late, zone = values.late_after, values.timezone
    rules.between("notify", "late_after", late, is_time(late), "like 08:00")
    rules.between("notify", "timezone", zone, is_zone(zone), "like UTC or Europe/Berlin")
    seconds = values.timeout_seconds
    rules.between("notify", "timeout_seconds", seconds, 0 < seconds <= MOST_TIMEOUT, f"above 0, at most {MOST_TIMEOUT}")


def retries(values: sections.retries, said_by: SaidBy) -> None:
    """Raise ConfigurationError for repetitions without a bound, and for a cause that is none."""
    rules = _Rules(said_by)
    for name, most in (("count", MOST_RETRIES), ("delay_seconds", MOST_DELAY)):
        value = getattr(values, name)
        rules.between("retries", name, value, 0 <= value <= most, f"from 0 to {most}")
    for cause in names_of(values.on):
        rules.one_of("retries", "on", cause, RETRIED)


def is_time(text: str) -> bool:
    """Whether a text is a time of day like ``08:00``."""
    return bool(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.ASCII))


def is_zone(name: str) -> bool:
    """Whether the machine knows a time zone."""
    if name == "UTC":
        return True  # the default, for which a run that has nothing to do need not load the zones
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, no name of a zone, or a directory of zones
        return False
    return True


def texts(case: UseCase, balancing: str, said_by: SaidBy) -> None:
    """Raise ConfigurationError where SMOTE would have to make texts."""
    found = [name for name, feature in case.features.items() if feature.text]
    if found and balancing == "smote":
        raise ConfigurationError(
            said_by("training", "balancing"),
            f"another strategy where a feature is a text ({', '.join(found)}): nothing lies between two texts",
            "'smote'",
            "choose undersample, oversample or class_weight",
        )


def first_date(first: date, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a beginning of history that no day can be asked for from."""
    wrong = wrong_day(first)
    if wrong:
        raise ConfigurationError(said_by("pipeline", "first_date"), wrong, str(first), "correct it")


def wrong_day(day: date) -> str:
    """What is wanted in place of a day that cannot be asked for; empty for any other day."""
    return "" if FIRST_DAY <= day <= LAST_DAY else f"a day from {FIRST_DAY} to {LAST_DAY}"


def feed(where: RawFeed, declared: Feed, said_by: SaidBy) -> None:
    """Raise ConfigurationError for a feed whose settings or columns cannot work."""
    _Rules(said_by).at_least("raw", "min_rows", where.min_rows, 0)
    if where.connection and where.connection.own.value:
        checked_url(where.connection.own)
    for column in ddl.columns(declared.schema) if where.format == "csv" else ():
        if not is_held(column.kind):
            raise not_held(where, column.name, column.kind)


def configuration_files() -> None:
    """Raise ConfigurationError for a file that is there, or was asked for, and cannot be read whole: Luigi would go on
    without it, and build in another lake."""
    files.check(defaults.files())


def refused_values() -> Iterator[ConfigurationError]:
    """Yield an error for each value of our sections that is badly written, also where another value outranks it."""
    parser = get_config()
    for section in parser.sections():
        if section.partition(".")[0] in SECTIONS:
            for key in parser.options(section):
                error = refused_value(section, key)
                if error:
                    yield error


def refused_value(section: str, key: str) -> ConfigurationError | None:
    """The error for a value of any section that is badly written or cannot be expanded; None for other values."""
    place = f"--set {section}.{key}" if resolve.given(section, key) else f"[{section}] {key}"
    try:
        return value_rules.refusal(place, resolve.in_files(section, key) or "", shown.is_conf(section, key))
    except ConfigurationError as unexpanded:
        return unexpanded


def names(use_case: str, case: UseCase) -> None:
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
        if family == "target":
            targets.check_name(section)  # its keys are those of its kind
        elif family in SECTIONS:
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
    del families["target"]  # where predictions go is no property of the use case
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
    """Raise ConfigurationError for a section whose name is nearly one of ours, which is a slip. Any other unknown
    section belongs to something else, and is left alone.
    """
    close = difflib.get_close_matches(section.lower(), known, n=1, cutoff=0.8)
    if close:
        raise ConfigurationError(
            f"[{section}]", "a known section", f"an unknown one (did you mean {close[0]!r}?)", "correct or remove it"
        )


@dataclass(frozen=True)
class _Rules:
    """What a value has to be. Each raises ConfigurationError, which names what has set the value."""

    said_by: SaidBy

    def one_of(self, section: str, name: str, value: str, choices: Sequence[str]) -> None:
        if value not in choices:
            found = repr(value) + did_you_mean(value, choices)
            raise ConfigurationError(self.said_by(section, name), f"one of {', '.join(choices)}", found, "correct it")

    def at_least(self, section: str, name: str, value: float, least: float) -> None:
        self.between(section, name, value, value >= least, f"of at least {least}")

    def between(self, section: str, name: str, value: object, good: bool, bounds: str) -> None:
        if not good:
            raise ConfigurationError(self.said_by(section, name), f"a value {bounds}", f"{value}", "correct it")
