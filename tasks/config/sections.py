"""All that can be set. Each section is a class of Luigi's, so that its own command line overrides every value
(``--training-cadence``). The descriptions are shown by ``luigi --help-all``,
where ``%%`` is one percent sign. docs/configuration.md is made from this module: ``make configuration``.
"""

from __future__ import annotations

from datetime import date

import luigi

from spark_lib.lake import DEFAULT_PATH
from spark_lib.problems.options import BALANCING, CALIBRATION, CONSTANT_COLUMNS

CADENCES = ("daily", "weekly", "monthly")
#: The word for no cadence of snapshots.
NO_SNAPSHOTS = "none"
DEFAULT_TABLE = "{use_case}_{dataset}"


class lake(luigi.Config):
    root = luigi.Parameter(default="lake", description="root of the lake: a local directory or s3://bucket/prefix")
    name = luigi.Parameter(
        default="",
        description="name by which targets of publication tell the lake from others; default: its root",
    )
    endpoint = luigi.Parameter(
        default="",
        description="URL of the S3 server, unless S3_ENDPOINT or AWS_ENDPOINT_URL_S3 names one; default: AWS's",
    )
    trust_unconditional_puts = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="whether to use an S3 server that ignores the conditions of puts; default: false",
    )
    cache = luigi.Parameter(
        default="", description="directory for copies of manifests from S3; default: the user's cache directory"
    )
    max_records_per_file = luigi.IntParameter(
        default=5_000_000, description="greatest number of rows in a Parquet file; default: 5000000"
    )
    max_attempt_hours = luigi.FloatParameter(
        default=24.0, description="hours after which an attempt may no longer publish; default: 24"
    )
    on_stale = luigi.Parameter(
        default="warn",
        description="what a run does about a published partition that would be built from something else now: keep, warn,"
        " rebuild or fail, for some datasets another, as in rebuild, predictions: keep; default: warn",
    )
    ask_above = luigi.IntParameter(
        default=50,
        description="number of stale partitions above which a run asks before it rebuilds them, and fails where nobody can"
        " be asked; default: 50",
    )


class pipeline(luigi.Config):
    use_case = luigi.Parameter(
        default="credit_risk", description="name of a shipped use case, or module:Class; default: credit_risk"
    )
    first_date: date | None = luigi.DateParameter(
        default=None,  # type: ignore[arg-type]  # Luigi takes None as a default, though its types do not
        description="first day that has landed, on which history begins; default: the use case's",
    )


class features(luigi.Config):
    snapshot = luigi.Parameter(
        default=NO_SNAPSHOTS,
        description="how often the state of a use case that declares update_state is kept, so that a day reads the raw days"
        " since and not all: none (the default), " + ", ".join(CADENCES),
    )


class training(luigi.Config):
    cadence = luigi.Parameter(default="weekly", description="how often a model is trained: " + ", ".join(CADENCES))
    window_days = luigi.IntParameter(default=28, description="number of landed days in a training set; default: 28")
    label_delay_days = luigi.IntParameter(
        default=21, description="days that an outcome has time to land before its row is trained on; default: 21"
    )
    max_unlabelled = luigi.FloatParameter(
        default=0.01,
        description="greatest share of the window's rows that may have no outcome, from 0 to 1; default: 0.01",
    )
    split = luigi.Parameter(default="entity", description="how rows are split: by entity (the default) or by time")
    train_validation_split_proportion = luigi.FloatParameter(
        default=0.8,
        description="proportion of rows for training and calibration, the rest being for validation; default: 0.8",
    )
    calibration_proportion = luigi.FloatParameter(
        default=0.1, description="proportion of all rows for calibration, taken from those for training; default: 0.1"
    )
    balancing = luigi.Parameter(
        default="undersample",
        description="strategy of balancing the training rows, of a label of more than two classes or of a number none"
        " unless set: " + ", ".join(BALANCING),
    )
    target_ratio = luigi.FloatParameter(
        default=1.0,
        description="rows of the smaller class divided by rows of the larger one, after balancing; default: 1",
    )
    smote_neighbours = luigi.IntParameter(
        default=5, description="number of nearest neighbours that SMOTE picks from; default: 5"
    )
    calibration = luigi.Parameter(
        default="auto",
        description="method that calibrates the scores: "
        + ", ".join(CALIBRATION)
        + "; of several classes auto, none, prior, temperature; of numbers auto",
    )
    max_categories = luigi.IntParameter(
        default=100,
        description="greatest number of texts of a category that have a number of their own in the matrix; default: 100",
    )
    constant_columns = luigi.Parameter(
        default="auto",
        description="what to do about columns with one value or none in training: " + ", ".join(CONSTANT_COLUMNS),
    )
    min_area_under_roc = luigi.FloatParameter(
        default=0.6, description="gate: least area under ROC, at the lower end of its interval; default: 0.6"
    )
    min_area_under_pr = luigi.FloatParameter(
        default=0.0,
        description="gate: least area under precision-recall, at the lower end of its interval; default: 0, no gate",
    )
    max_calibration_error = luigi.FloatParameter(
        default=0.1, description="gate: greatest calibration error, at the upper end of its interval; default: 0.1"
    )
    out_of_time = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="whether to judge on the window's last fifth of days, too, by a second model of the days before; "
        "default: true",
    )
    min_out_of_time_area_under_roc = luigi.FloatParameter(
        default=0.0,
        description="gate: least area under ROC out of time, at the lower end of its interval; default: 0, no gate",
    )
    min_positives = luigi.IntParameter(
        default=200, description="number of labelled positives below which a training is inconclusive; default: 200"
    )
    min_labelled = luigi.IntParameter(
        default=200,
        description="classes, numbers: number of labelled rows below which a training is inconclusive; default: 200",
    )
    min_accuracy = luigi.FloatParameter(
        default=0.0,
        description="classes: gate: least accuracy, at the lower end of its interval; default: 0, no gate",
    )
    min_macro_f1 = luigi.FloatParameter(
        default=0.0,
        description="classes: gate: least macro F1, at the lower end of its interval; default: 0, no gate",
    )
    max_log_loss = luigi.OptionalFloatParameter(
        default=None, description="classes: gate: greatest log loss, at the upper end of its interval; default: no gate"
    )
    coverage = luigi.FloatParameter(
        default=0.9, description="numbers: share of outcomes that their intervals are to hold; default: 0.9"
    )
    max_rmse = luigi.OptionalFloatParameter(
        default=None, description="numbers: gate: greatest RMSE, at the upper end of its interval; default: no gate"
    )
    max_mae = luigi.OptionalFloatParameter(
        default=None, description="numbers: gate: greatest MAE, at the upper end of its interval; default: no gate"
    )
    min_r2 = luigi.OptionalFloatParameter(
        default=None, description="numbers: gate: least R2, at the lower end of its interval; default: no gate"
    )
    min_coverage = luigi.OptionalFloatParameter(
        default=None,
        description="numbers: gate: least measured coverage, at the lower end of its interval; default: coverage less 0.05",
    )
    bootstrap_replicates = luigi.IntParameter(
        default=500, description="number of bootstrap draws for each interval; default: 500"
    )
    confidence = luigi.FloatParameter(
        default=0.95, description="confidence level of the intervals, between 0 and 1; default: 0.95"
    )
    champion_margin = luigi.FloatParameter(
        default=0.05,
        description="area under ROC, or share of its error, that a model may lose to the one before it, 1 to compare"
        " none; default: 0.05",
    )
    max_candidates = luigi.IntParameter(
        default=8, description="greatest number of trainings that a selection looks back on; default: 8"
    )
    trees = luigi.IntParameter(default=20, description="number of trees of the forest; default: 20")
    depth = luigi.IntParameter(default=5, description="greatest depth of a tree; default: 5")
    seed = luigi.IntParameter(default=0, description="seed of balancing and of the estimator; default: 0")


class decision(luigi.Config):
    threshold = luigi.OptionalFloatParameter(
        default=None,
        description="score from which on a row's prediction is positive, between 0 and 1, recorded by the training;"
        " default: none, predictions have scores alone",
    )


class selection(luigi.Config):
    manual_from: date | None = luigi.DateParameter(
        default=None,  # type: ignore[arg-type]  # Luigi takes None as a default, though its types do not
        description="first day whose model is the one that a person has promoted; default: none, the newest approved"
        " training that does not lose to the one before it is in force",
    )


class release(luigi.Config):
    max_psi = luigi.FloatParameter(
        default=0.2,
        description="greatest population stability index of scores and features, where chance gives no more; default: 0.2",
    )
    unchecked_features = luigi.Parameter(
        default="",
        description="features whose PSI is not checked, as in month, age; default: none",
    )
    max_share_change = luigi.FloatParameter(
        default=0.05,
        description="greatest rise of a feature's share of nulls or of unknown categories, from 0 to 1; default: 0.05",
    )
    max_mean_ratio = luigi.FloatParameter(
        default=1.5,
        description="by what factor the mean of scores that are probabilities may differ from the reference's; default: 1.5",
    )
    max_rows_ratio = luigi.FloatParameter(
        default=1.5, description="by what factor the number of rows may differ from the usual one; default: 1.5"
    )
    look_back_days = luigi.IntParameter(
        default=28, description="number of days before a day whose releases it is compared with; default: 28"
    )
    min_days = luigi.IntParameter(
        default=7, description="number of released days among these below which they are not compared with; default: 7"
    )
    min_rows = luigi.IntParameter(
        default=200,
        description="number of rows below which a day is judged together with released days before it; default: 200",
    )


class evaluation(luigi.Config):
    window_days = luigi.IntParameter(
        default=28,
        description="number of landing days whose predictions are judged, up to [training] label_delay_days before;"
        " default: 28",
    )
    required = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="whether a release needs the evaluation of the day before, and is held where that is below a bound;"
        " default: false",
    )
    min_area_under_roc = luigi.OptionalFloatParameter(
        default=None, description="bound: least area under ROC, at the lower end of its interval; default: no bound"
    )
    min_area_under_pr = luigi.OptionalFloatParameter(
        default=None,
        description="bound: least area under precision-recall, at the lower end of its interval; default: no bound",
    )
    max_calibration_error = luigi.OptionalFloatParameter(
        default=None,
        description="bound: greatest calibration error, at the upper end of its interval; default: no bound",
    )
    min_accuracy = luigi.OptionalFloatParameter(
        default=None, description="classes: bound: least accuracy, at the lower end of its interval; default: no bound"
    )
    min_macro_f1 = luigi.OptionalFloatParameter(
        default=None, description="classes: bound: least macro F1, at the lower end of its interval; default: no bound"
    )
    max_log_loss = luigi.OptionalFloatParameter(
        default=None,
        description="classes: bound: greatest log loss, at the upper end of its interval; default: no bound",
    )
    max_rmse = luigi.OptionalFloatParameter(
        default=None, description="numbers: bound: greatest RMSE, at the upper end of its interval; default: no bound"
    )
    max_mae = luigi.OptionalFloatParameter(
        default=None, description="numbers: bound: greatest MAE, at the upper end of its interval; default: no bound"
    )
    min_r2 = luigi.OptionalFloatParameter(
        default=None, description="numbers: bound: least R2, at the lower end of its interval; default: no bound"
    )
    min_coverage = luigi.OptionalFloatParameter(
        default=None,
        description="numbers: bound: least measured coverage, at the lower end of its interval; default: no bound",
    )
    segment_bounds = luigi.Parameter(
        default="",
        description="bounds on segments, on all or on those of one column, as in min_area_under_roc: 0.55,"
        " channel.min_area_under_roc: 0.5; default: none",
    )


class serve(luigi.Config):
    host = luigi.Parameter(
        default="127.0.0.1",
        description="address that daystone serve listens on, another than loopback only with a token in the environment's"
        " DAYSTONE_SERVE_TOKEN; default: 127.0.0.1",
    )
    port = luigi.IntParameter(
        default=8000, description="port that daystone serve listens on, 0 for any free one; default: 8000"
    )
    max_rows = luigi.IntParameter(default=1_000, description="greatest number of rows of a request; default: 1000")
    max_body_bytes = luigi.IntParameter(
        default=1_048_576, description="greatest number of bytes of a request's body; default: 1048576, a mebibyte"
    )
    poll_seconds = luigi.FloatParameter(
        default=30.0, description="seconds between two looks for a newer released day; default: 30"
    )


class image(luigi.Config):
    base = luigi.Parameter(
        default="",
        description="what images of models stand on: an image with the same Python, as in"
        " registry.example.org/python:3.11-slim or oci:DIRECTORY; default: Python as it is installed here",
    )


class lookup(luigi.Config):
    fallback = luigi.Parameter(
        default="none",
        description="what is said of an entity without a score: prior (what the newest released model knows of a row of"
        " which nothing is known), a number, or none; default: none",
    )
    max_age_days = luigi.OptionalIntParameter(
        default=None, description="days after which a published score is marked as stale; default: never"
    )


class publication(luigi.Config):
    targets = luigi.Parameter(
        default="",
        description="names of the targets that a day is published to, as in risk_db, cache; default: none",
    )


class target(luigi.Config):
    kind = luigi.Parameter(
        default="",
        description="what the target is: postgres, redis, csv, or module.Class of a class of your own; default: none, it"
        " has to be set",
    )
    conninfo = luigi.Parameter(
        default="",
        description="PostgreSQL: connection string or URL of libpq without a password, as in host=db.example dbname=risk;"
        " default: what the variables of libpq say",
    )
    schema = luigi.Parameter(default="public", description="PostgreSQL: schema of the tables; default: public")
    table = luigi.Parameter(
        default=DEFAULT_TABLE,
        description=f"PostgreSQL: pattern of the names of views and tables; default: {DEFAULT_TABLE}",
    )
    url = luigi.Parameter(
        default="",
        description="Redis: URL of the server without a password, as in redis://cache.example:6379/0; default: none, it has"
        " to be set",
    )
    root = luigi.Parameter(
        default="",
        description="CSV: directory or s3://bucket/prefix of the files; default: none, it has to be set",
    )
    separator = luigi.Parameter(
        default=";", description="CSV: sign between two values, a semicolon (the default) or a comma"
    )
    input_columns = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="CSV: whether a row of predictions has the features that it was scored by, too; default: false",
    )
    predicted_class = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="CSV: whether a row of predictions has the name of the predicted class, too; default: false",
    )
    keep_hours = luigi.OptionalFloatParameter(
        default=None,
        description="PostgreSQL, Redis: hours for which superseded rows stay; default: 168 in PostgreSQL, 1 in Redis",
    )


class mlflow(luigi.Config):
    uri = luigi.Parameter(
        default="",
        description="URL of the MLflow server that trainings are tracked at, without a password, as in"
        " https://mlflow.example:5000; default: none, trainings are not tracked",
    )
    experiment = luigi.Parameter(
        default="", description="name of the experiment of the runs; default: the use case's name"
    )
    model = luigi.Parameter(default="", description="name of the registered model; default: the use case's name")
    alias = luigi.Parameter(
        default="production",
        description="alias that daystone promote --from-mlflow follows; default: production",
    )
    answer_seconds = luigi.IntParameter(
        default=10, description="seconds that the server has for each answer, which is asked for once; default: 10"
    )
    max_seconds = luigi.FloatParameter(
        default=60.0,
        description="seconds after which the chain goes on without having tracked a training; default: 60",
    )


class raw(luigi.Config):
    path = luigi.Parameter(default=DEFAULT_PATH, description="pattern of a day's directory, with {date:%%Y-%%m-%%d}")
    format = luigi.Parameter(default="parquet", description="format of the files: parquet (the default) or csv")
    flag = luigi.Parameter(
        default="_SUCCESS",
        description="name of the file that lands last and says that the day is whole; default: _SUCCESS",
    )
    endpoint = luigi.Parameter(
        default="", description="URL of this feed's S3 server, if it is another than the lake's; default: the lake's"
    )
    profile = luigi.Parameter(
        default="", description="AWS profile with this feed's credentials; default: AWS's own chain, as for the lake"
    )
    min_rows = luigi.IntParameter(
        default=0, description="least number of rows of a landed day, fewer being an error; default: 0"
    )
    separator = luigi.Parameter(
        default=",", description="CSV: sign between two values, or the word tab or space; default: a comma"
    )
    decimal_mark = luigi.Parameter(
        default=".", description="CSV: sign before the fraction of a number, a point (the default) or a comma"
    )
    encoding = luigi.Parameter(
        default="utf-8", description="CSV: encoding as Python names it, such as latin-1 or cp1252; default: utf-8"
    )
    null_text = luigi.Parameter(
        default="", description="CSV: text that means null where it stands without quotes; default: the empty text"
    )
    header = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="CSV: whether the first line names the columns (the default); if not, the schema's order holds",
    )
    date_pattern = luigi.Parameter(
        default="", description="CSV: pattern of dates; default: ISO 8601, such as 2026-01-31"
    )
    timestamp_pattern = luigi.Parameter(
        default="", description="CSV: pattern of timestamps; default: ISO 8601, such as 2026-01-31T09:30:00Z"
    )
    timezone = luigi.Parameter(
        default="",
        description="CSV: zone of timestamps that are written without one, such as Europe/Berlin; default: none",
    )


class spark(luigi.Config):
    master = luigi.Parameter(default="local[*]", description="URL of the Spark master; default: local[*]")
    driver_memory = luigi.Parameter(default="2g", description="heap of the driver's JVM; default: 2g")
    shuffle_partitions = luigi.OptionalIntParameter(
        default=None,
        description="number of partitions of a shuffle; default: computed from the bytes that a stage reads",
    )
    quick_start = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="whether a local driver uses an archive of classes and the serial collector; default: true",
    )
    scores_from_mb = luigi.IntParameter(
        default=64,
        description="megabytes of features from which on Spark scores a day; a smaller one is scored without Spark, "
        "by processes of the driver; 0: always by Spark; default: 64",
    )
    ship_code = luigi.BoolParameter(
        default=True,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="whether executors of a cluster get Daystone and the use case's package from the driver; default: true",
    )
    conf: dict[str, str] = luigi.DictParameter(default={}, description="further settings of Spark, as a JSON object")


class log(luigi.Config):
    directory = luigi.Parameter(
        default="", description="directory of the logs of Spark and of daystone; default: the user's state directory"
    )


class notify(luigi.Config):
    urls = luigi.Parameter(
        default="",
        description="addresses of Apprise that are told what is wrong, with blanks between, without a password or a key in"
        " them; more are in the environment's DAYSTONE_NOTIFY_URLS; default: none",
    )
    urls_file = luigi.Parameter(
        default="",
        description="file with further addresses, one a line, that nobody but its owner may read; default: none",
    )
    late_after = luigi.Parameter(
        default="08:00",
        description="time of the day after a landing day from which on a raw day that is missing is late; default: 08:00",
    )
    timezone = luigi.Parameter(
        default="UTC", description="time zone of late_after, such as Europe/Berlin; default: UTC"
    )
    timeout_seconds = luigi.FloatParameter(
        default=20.0, description="seconds after which a message that is not sent yet is given up; default: 20"
    )


class retries(luigi.Config):
    count = luigi.IntParameter(
        default=0,
        description="number of times that a run is repeated whose cause of failure may pass; default: 0, none",
    )
    delay_seconds = luigi.FloatParameter(
        default=60.0,
        description="mean seconds before the first repetition, twice as many before each further one; default: 60",
    )
    on = luigi.Parameter(
        default="",
        description="causes that are repeated, as in scheduler, store: luigid does not answer, or the store of the lake does"
        " not; default: both",
    )


#: Keys that are read before the use case is known, so that no section of one use case can set them.
SHARED = {("lake", "root"), ("lake", "name"), ("pipeline", "use_case"), ("log", "directory")}
SECTIONS: dict[str, type[luigi.Config]] = {
    section.__name__: section
    for section in (
        lake,
        pipeline,
        features,
        training,
        decision,
        selection,
        release,
        evaluation,
        publication,
        target,
        lookup,
        serve,
        image,
        mlflow,
        raw,
        spark,
        log,
        notify,
        retries,
    )
}
