"""What can be set: one class a section, so that Luigi's own command line overrides every value (``--training-cadence``)."""

from __future__ import annotations

from datetime import date

import luigi

from spark_lib.lake import DEFAULT_PATH
from spark_lib.learning.choices import BALANCING, CALIBRATION, CONSTANT_COLUMNS

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
    endpoint = luigi.Parameter(default="", description="of S3, of a feed on another server than the lake's")
    profile = luigi.Parameter(
        default="", description="of AWS's files, of a feed with other credentials than the lake's"
    )
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


#: What is asked before the use case is known, so that no section of one use case can say it.
SHARED = {("lake", "root"), ("pipeline", "use_case"), ("log", "directory")}
SECTIONS: dict[str, type[luigi.Config]] = {
    section.__name__: section for section in (lake, pipeline, training, raw, spark, log)
}
