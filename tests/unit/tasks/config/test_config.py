"""Configuration: which of several values holds, and what is refused before anything is built."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import tasks
from spark_lib.errors import ConfigurationError
from spark_lib.lake import Dialect
from spark_lib.lake.stores.s3_settings import Said
from spark_lib.use_case import ClassLabel, Feature, Feed, loading
from tasks.config import check, sections
from tasks.config.settings import Settings
from tests.support.messages import TRAINING_KEYS
from tests.support.processes import Commands
from tests.unit.stubs import cases
from tests.unit.stubs.stages import Leaf
from tests.unit.stubs.stublake import CARDS, LOANS, configure

NAME = loading.directory(LOANS)


def settings(name: str = LOANS) -> Settings:
    return Settings(name, loading.load(name))


def shown(
    commands: Commands, *arguments: str, config: str = "", env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What a process with these arguments resolves the settings of its stages to."""
    asked = ["--module", "tests.unit.stubs.quick", "Shown", "--date", "2026-01-01", *arguments]
    result = commands.luigi(*asked, config=config, env=env)
    assert result.code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


# Which value holds


def test_the_server_and_the_profile_of_a_feed_have_the_precedence_of_every_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        cases.Loans,
        "settings",
        dict(cases.Loans.settings) | {"raw.events.profile": "of-use-case", "raw.profile": "all"},
    )
    configure(
        monkeypatch,
        f"[raw]\nendpoint = http://all\n[raw.events]\nendpoint = http://feed\n[raw.events.{NAME}]\nendpoint = http://mine\n"
        "[lake]\nendpoint = http://lake\n",
    )
    settings = Settings(LOANS, cases.Loans())

    events, outcomes = (settings.feed("/lake", feed).connection for feed in ("events", "outcomes"))

    assert events is not None and outcomes is not None
    assert events.own == Said("http://mine", f"[raw.events.{NAME}] endpoint")
    assert outcomes.own == Said("http://all", "[raw] endpoint")
    assert (events.profile.value, outcomes.profile.value) == ("of-use-case", "all")
    assert events.endpoint == settings.connection.endpoint == Said("http://lake", "[lake] endpoint")


def test_a_feed_that_says_nothing_or_empties_what_all_feeds_say_is_reached_as_the_lake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(monkeypatch, "[raw]\nendpoint = http://all\n[raw.events]\nendpoint =\n")
    settings = Settings(LOANS, cases.Loans())

    assert settings.feed("/lake", "events").connection is None
    assert settings.feed("/lake", "outcomes").connection is not None


class Graded(cases.Loans):
    """Loans whose outcome is one of three."""

    label: Any = ClassLabel("outcomes", "id", "outcome", ("bad", "good", "late"))


def test_the_label_decides_which_strategies_may_be_named_and_which_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(monkeypatch, "[lake]\nroot = lake\n")
    assert Settings(LOANS, Graded()).training.balancing == "none"
    assert Settings(LOANS, cases.Loans()).training.balancing == "undersample"

    configure(monkeypatch, "[training]\nbalancing = smote\n")
    with pytest.raises(ConfigurationError) as caught:
        Settings(LOANS, Graded()).check()

    assert str(caught.value) == (
        "[training] balancing: wanted one of none, class_weight, undersample, oversample; found 'smote'. Next: correct it"
    )


def test_a_threshold_is_refused_where_the_label_has_no_use_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Loans, "label", ClassLabel("outcomes", "id", "outcome", ("bad", "good", "unknown")))

    assert refusal(monkeypatch, "[decision]\nthreshold = 0.4") == (
        "[decision] threshold: wanted none for a label of this kind (multiclass); found 0.4. Next: remove it, or set it in "
        "the section of the use case that it is for, [decision.<use case>]"
    )


def test_a_training_records_the_threshold_that_its_card_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lake = f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n"
    configure(monkeypatch, f"{lake}[decision]\nthreshold = 0.4\n")

    assert tasks.Training(date=date(2026, 1, 12)).recorded_settings()["decision.threshold"] == 0.4
    assert not any("decision" in name for name in tasks.BatchInference(date=date(2026, 1, 12)).recorded_settings())


def test_where_a_feed_lies_is_no_setting_of_a_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = "[raw]\nendpoint = http://all\nprofile = landing\n"
    configure(
        monkeypatch, f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n[raw.events]\nformat = csv\n{own}"
    )

    recorded = tasks.FeatureEngineering(date=date(2026, 1, 1)).recorded_settings()

    assert recorded.keys() == {f"raw.events.{option.name}" for option in fields(Dialect)}


@pytest.mark.processes
def test_each_level_of_the_configuration_gives_way_to_the_one_above_it(tmp_path: Path) -> None:
    users_own = f"""
[pipeline]
use_case = {LOANS}
[training]
label_delay_days = 3
trees = 3
depth = 3
seed = 3
[training.{NAME}]
depth = 4
seed = 4
[raw]
path = /shared/{{feed}}/{{date:%%Y-%%m-%%d}}
format = csv
min_rows = 3
flag = shared
[raw.events]
min_rows = 4
flag = of-feed
[raw.events.{NAME}]
flag = of-use-case
"""

    found = shown(Commands(tmp_path), "--training-seed", "5", "--raw-format", "parquet", config=users_own)

    assert {name: found["training"][name] for name in ("max_candidates", "window_days", "label_delay_days")} == {
        "max_candidates": "8",  # code
        "window_days": "7",  # the use case's setting
        "label_delay_days": "3",  # [training], over the use case's setting
    }
    assert {name: found["training"][name] for name in ("trees", "depth", "seed")} == {
        "trees": "3",  # [training]
        "depth": "4",  # [training.<use_case>]
        "seed": "5",  # the command line
    }
    events, outcomes = found["raw"]["events"], found["raw"]["outcomes"]
    assert (outcomes["path"], outcomes["min_rows"], outcomes["flag"]) == ("/shared/{feed}/{date:%Y-%m-%d}", 3, "shared")
    assert (events["path"], events["min_rows"], events["flag"]) == (outcomes["path"], 4, "of-use-case")
    assert (events["format"], outcomes["format"]) == ("parquet", "parquet")


def test_smote_is_refused_where_features_are_texts_and_other_strategies_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = {name: Feature("STRING", text=True) for name in ("title", "note")}
    monkeypatch.setattr(cases.Loans, "features", dict(cases.Loans.features) | texts)
    configure(monkeypatch, f"[lake]\nroot = /lake\n[training.{NAME}]\nbalancing = oversample\n")
    settings().check()
    configure(monkeypatch, f"[lake]\nroot = /lake\n[training.{NAME}]\nbalancing = smote\n")

    with pytest.raises(ConfigurationError) as refused:
        settings().check()

    assert str(refused.value) == (
        f"[training.{NAME}] balancing: wanted another strategy where a feature is a text (title, note): nothing lies between "
        "two texts; found 'smote'. Next: choose undersample, oversample or class_weight"
    )


@pytest.mark.processes
def test_luigis_own_command_line_overrides_each_value(tmp_path: Path) -> None:
    training = {
        "cadence": "monthly",
        "window_days": "14",
        "label_delay_days": "5",
        "max_unlabelled": "0.02",
        "split": "time",
        "train_validation_split_proportion": "0.7",
        "calibration_proportion": "0.2",
        "balancing": "smote",
        "target_ratio": "0.5",
        "smote_neighbours": "3",
        "calibration": "isotonic",
        "max_categories": "50",
        "constant_columns": "reject",
        "min_area_under_roc": "0.55",
        "min_area_under_pr": "0.1",
        "max_calibration_error": "0.05",
        "out_of_time": "False",
        "min_out_of_time_area_under_roc": "0.0",
        "min_positives": "10",
        "min_labelled": "20",
        "min_accuracy": "0.2",
        "min_macro_f1": "0.3",
        "max_log_loss": "1.5",
        "coverage": "0.8",
        "max_rmse": "2.5",
        "max_mae": "3.5",
        "min_r2": "0.1",
        "min_coverage": "0.7",
        "bootstrap_replicates": "99",
        "confidence": "0.9",
        "champion_margin": "0.01",
        "max_candidates": "3",
        "trees": "7",
        "depth": "4",
        "seed": "9",
    }
    pipeline = {"use_case": LOANS, "first_date": "2025-06-01"}
    lake = {
        "root": "elsewhere",
        "name": "production",
        "endpoint": "http://127.0.0.1:7070",
        "trust_unconditional_puts": "True",
        "max_records_per_file": "1000",
        "max_attempt_hours": "1.5",
        "on_stale": "rebuild, predictions: keep",
        "ask_above": "7",
        "cache": "/elsewhere/cache",
    }
    spark = {
        "master": "local[1]",
        "driver_memory": "1g",
        "shuffle_partitions": "2",
        "quick_start": "False",
        "scores_from_mb": "8",
        "ship_code": "False",
        "conf": '{"a": "b"}',
    }
    given = {"training": training, "pipeline": pipeline, "lake": lake, "spark": spark}

    found = shown(
        Commands(tmp_path),
        *(
            word
            for section, values in given.items()
            for name, value in values.items()
            for word in (f"--{section}-{name}".replace("_", "-"), value)
        ),
    )

    assert {section: found[section] for section in given} == given
    assert found["task"] == {"date": "2026-01-01", "use_case": LOANS, "lake": str(tmp_path / "elsewhere")}


def test_the_task_s_own_use_case_decides_not_the_configured_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(
        monkeypatch,
        f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n"
        f"[training.{NAME}]\nseed = 1\n[training.{loading.directory(CARDS)}]\nseed = 2\n",
    )

    assert Leaf(date=date(2026, 1, 1)).settings.training.seed == 1
    assert Leaf(date=date(2026, 1, 1), use_case=CARDS).settings.training.seed == 2


def test_a_use_case_may_give_any_setting_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch)
    monkeypatch.setattr(
        cases.Loans,
        "settings",
        {
            "pipeline.first_date": date(2026, 1, 1),
            "training.min_area_under_roc": 0.7,
            "raw.format": "csv",
            "raw.flag": "ready",
            "raw.events.flag": "events-ready",
            "spark.conf": {"spark.sql.ansi.enabled": "true"},
        },
    )
    found = settings()

    found.check()

    assert found.first_date == date(2026, 1, 1)
    assert found.training.min_area_under_roc == 0.7
    assert dict(found.spark.conf) == {"spark.sql.ansi.enabled": "true"}
    assert [found.feed("/lake", feed).flag for feed in ("events", "outcomes")] == ["events-ready", "ready"]
    assert [found.feed("/lake", feed).format for feed in ("events", "outcomes")] == ["csv", "csv"]


def test_the_settings_that_affect_a_result_are_those_that_are_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(monkeypatch, f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n[training]\nwindow_days = 9\n")

    assert Leaf(date=date(2026, 1, 1)).recorded_settings() == {"window_days": 9}


def test_a_column_that_csv_cannot_hold_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = dict(cases.Loans.feeds) | {"events": Feed(f"{cases.Loans.feeds['events'].schema}, parts ARRAY<INT>", "id")}
    monkeypatch.setattr(cases.Loans, "feeds", feeds)

    assert refusal(monkeypatch, "[raw.events]\nformat = csv").startswith(
        "column 'parts' of raw feed events: wanted a type that CSV can hold: string, boolean, whole numbers,"
    )


@pytest.mark.parametrize("setting", ["lake.root", "pipeline.use_case", "log.directory"])
def test_a_use_case_cannot_set_what_is_one_for_all(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(cases.Loans, "settings", dict(cases.Loans.settings) | {setting: "/data"})

    assert refusal(monkeypatch, "") == (
        f"setting {setting!r} of use case {NAME}: wanted a setting of one use case; found one that is the same for all. "
        "Next: remove it there, and set it in luigi.cfg"
    )


def test_how_a_csv_feed_is_written_is_recorded_by_the_stages_that_read_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(
        monkeypatch,
        f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n[raw.events]\nformat = csv\nseparator = ;\n",
    )

    features = tasks.FeatureEngineering(date=date(2026, 1, 1)).recorded_settings()

    assert features["raw.events.separator"] == ";"
    assert features.keys() == {f"raw.events.{option.name}" for option in fields(Dialect)}
    assert not any("raw" in name for name in tasks.Balancing(date=date(2026, 1, 12)).recorded_settings())


# What is refused


def refusal(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    configure(monkeypatch, text)
    with pytest.raises(ConfigurationError) as caught:
        settings().check()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[training]\ncadenc = daily",
            f"[training] cadenc: wanted one of {TRAINING_KEYS}; found an unknown key (did you mean 'cadence'?). "
            "Next: correct or remove it",
        ),
        (
            f"[training.{NAME}]\nseeds = 1",
            f"[training.{NAME}] seeds: wanted one of {TRAINING_KEYS}; found an unknown key (did you mean 'seed'?). "
            "Next: correct or remove it",
        ),
        (
            "[raw.events]\nsomething_else = 1",
            "[raw.events] something_else: wanted one of path, format, flag, endpoint, profile, min_rows, separator, decimal_mark, encoding, null_text, header, date_pattern, timestamp_pattern, timezone; found an unknown key. "
            "Next: correct or remove it",
        ),
        (
            f"[lake.{NAME}]\nroot = elsewhere",
            f"[lake.{NAME}] root: wanted it in [lake]: it is one for all use cases; found it here. Next: move it",
        ),
        (
            f"[raw.{NAME}]\nflag = DONE",
            f"[raw.{NAME}]: wanted a section of a feed; found one of all feeds of a use case. "
            f"Next: name the feed: [raw.FEED.{NAME}]",
        ),
        (
            "[trainng]\nseed = 1",
            "[trainng]: wanted a known section; found an unknown one (did you mean 'training'?). Next: correct or remove it",
        ),
        (
            "[Training]\nseed = 1",
            "[Training]: wanted a known section; found an unknown one (did you mean 'training'?). Next: correct or remove it",
        ),
        (
            "[raw.event]\nflag = x",
            "[raw.event]: wanted a known section; found an unknown one (did you mean 'raw.events'?). "
            "Next: correct or remove it",
        ),
        (
            f"[training.{NAME[:-1]}]\nseed = 1",
            f"[training.{NAME[:-1]}]: wanted a known section; found an unknown one (did you mean 'training.{NAME}'?). "
            "Next: correct or remove it",
        ),
        (
            "[training]\nseed = one",
            "[training] seed: wanted a value of type int; found 'one'. Next: correct it",
        ),
        (
            f"[training.{NAME}]\nmin_area_under_roc = high",
            f"[training.{NAME}] min_area_under_roc: wanted a value of type float; found 'high'. Next: correct it",
        ),
        (
            "[pipeline]\nfirst_date = yesterday",
            "[pipeline] first_date: wanted a value of type date; found 'yesterday'. Next: correct it",
        ),
        (
            "[spark]\nconf = a=b",
            "[spark] conf: wanted a value of type dict; found one that is not shown: it may hold a secret. Next: correct it",
        ),
        (
            "[training]\ncadence = weakly",
            "[training] cadence: wanted one of daily, weekly, monthly; found 'weakly' (did you mean 'weekly'?). "
            "Next: correct it",
        ),
        (
            "[training]\ncadence = hourly",
            "[training] cadence: wanted one of daily, weekly, monthly; found 'hourly'. Next: correct it",
        ),
        (
            "[training]\nbalancing = smot",
            "[training] balancing: wanted one of none, class_weight, undersample, oversample, smote; found 'smot' "
            "(did you mean 'smote'?). Next: correct it",
        ),
        (
            "[training]\nconstant_columns = warning",
            "[training] constant_columns: wanted one of auto, warn, reject; found 'warning' (did you mean 'warn'?). "
            "Next: correct it",
        ),
        (
            "[training]\nsplit = customer",
            "[training] split: wanted one of entity, time; found 'customer'. Next: correct it",
        ),
        (
            "[training]\nout_of_time = false\nmin_out_of_time_area_under_roc = 0.6",
            "[training] min_out_of_time_area_under_roc: wanted [training] out_of_time = true, which measures what this gate "
            "judges; found false. Next: set it to true, or this gate to 0",
        ),
        (
            "[decision]\nthreshold = 1",
            "[decision] threshold: wanted a value between 0 and 1; found 1.0. Next: correct it",
        ),
        (
            f"[decision.{NAME}]\nthreshold = nan",
            f"[decision.{NAME}] threshold: wanted a value between 0 and 1; found nan. Next: correct it",
        ),
        (
            "[training]\nbalancing = smote\ncalibration = prior",
            "[training] calibration: wanted auto, or a curve that is fitted (shift, platt, isotonic), with balancing = smote; found "
            "prior, which is exact only where rows are drawn at random (undersample, oversample). "
            "Next: correct one of the two",
        ),
        (
            "[training]\nbalancing = none\ncalibration_proportion = 0",
            "[training] calibration_proportion: wanted above 0 with calibration = auto and balancing = none: the curve is "
            "fitted on rows of its own; found 0. Next: set it to 0.1, or choose calibration = none",
        ),
        (
            "[training]\nwindow_days = 99999999999",
            "[training] window_days: wanted a value of at most 36,500; found 99999999999. Next: correct it",
        ),
        ("[raw]\nmin_rows = -1", "[raw] min_rows: wanted a value of at least 0; found -1. Next: correct it"),
        (
            "[raw.outcomes]\nmin_rows = -1",
            "[raw.outcomes] min_rows: wanted a value of at least 0; found -1. Next: correct it",
        ),
        (
            f"[training.{NAME}]\ndepth = 31",
            f"[training.{NAME}] depth: wanted a value from 1 to 30, as Spark's trees are; found 31. Next: correct it",
        ),
        (
            "[pipeline]\nfirst_date = 9999-12-30",
            "[pipeline] first_date: wanted a day from 1900-01-01 to 2199-12-31; found 9999-12-30. Next: correct it",
        ),
        (
            '[spark]\nconf = ["a"]',
            '[spark] conf: wanted a JSON object of Spark\'s settings, as {"spark.ui.port": "4050"}; found JSON that is none. '
            "Next: correct it",
        ),
        (
            "[raw.outcomes]\nformat = xml",
            "[raw.outcomes] format: wanted one of parquet, csv; found 'xml'. Next: correct it",
        ),
        (
            "[raw.outcomes]\nendpoint = minio:9000",
            "[raw.outcomes] endpoint: wanted http:// or https:// and the address, as in http://minio:9000; found "
            "'minio:9000', without a scheme. Next: correct [raw.outcomes] endpoint",
        ),
        (
            "[raw]\npath = {root}/{feed}",
            "[raw.events] path: wanted a date, as in {date:%Y-%m-%d}; found no year in '{root}/{feed}'. "
            "Next: correct the path",
        ),
        (
            "[raw]\npath = {root}/{date:%Y-%m-%d}",
            "[raw] path: wanted a value that Luigi can read; found '%' must be followed by '%' or '(', found: '%Y-%m-%d}'. "
            "Next: write %% for a percent sign, and ${NAME} only for a variable of the environment that is set",
        ),
    ],
)
def test_a_name_or_value_that_cannot_work_is_refused_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    assert refusal(monkeypatch, text) == message


@pytest.mark.parametrize(
    ("section", "name", "value", "wanted"),
    [
        ("training", "window_days", 0, "of at least 1"),
        ("training", "max_candidates", 0, "of at least 1"),
        ("training", "trees", 0, "of at least 1"),
        ("training", "depth", 0, "of at least 1"),
        ("training", "depth", 31, "from 1 to 30, as Spark's trees are"),
        ("training", "label_delay_days", -1, "of at least 0"),
        ("training", "min_positives", -1, "of at least 0"),
        ("training", "min_labelled", -1, "of at least 0"),
        ("training", "min_accuracy", 1.1, "from 0 to 1"),
        ("training", "min_macro_f1", -0.1, "from 0 to 1"),
        ("training", "max_log_loss", -0.1, "of at least 0"),
        ("training", "max_rmse", float("nan"), "of at least 0"),
        ("training", "max_mae", -1.0, "of at least 0"),
        ("training", "min_coverage", 1.5, "from 0 to 1"),
        ("training", "coverage", 1.0, "between 0 and 1"),
        ("training", "min_area_under_roc", 1.1, "from 0 to 1"),
        ("training", "min_area_under_roc", float("nan"), "from 0 to 1"),
        ("training", "min_area_under_pr", -0.1, "from 0 to 1"),
        ("training", "max_calibration_error", 1.1, "from 0 to 1"),
        ("training", "max_unlabelled", -0.01, "from 0 to 1"),
        ("training", "champion_margin", 2.0, "from 0 to 1"),
        ("training", "confidence", 1.0, "between 0 and 1"),
        ("training", "target_ratio", 0.0, "above 0, at most 1"),
        ("training", "target_ratio", 1.5, "above 0, at most 1"),
        ("training", "calibration_proportion", -0.1, "from 0, below train_validation_split_proportion"),
        ("training", "calibration_proportion", 0.8, "from 0, below train_validation_split_proportion"),
        ("training", "smote_neighbours", 0, "of at least 1"),
        ("training", "bootstrap_replicates", 0, "of at least 1"),
        ("training", "bootstrap_replicates", 39, "40 or more, for the ends of an interval of confidence 0.95"),
        ("training", "train_validation_split_proportion", 0.0, "between 0 and 1"),
        ("training", "train_validation_split_proportion", 1.0, "between 0 and 1"),
        ("release", "max_psi", -0.1, "of at least 0"),
        ("release", "max_share_change", 1.5, "from 0 to 1"),
        ("release", "max_mean_ratio", 0.5, "of at least 1"),
        ("release", "max_rows_ratio", 0.9, "of at least 1"),
        ("release", "look_back_days", 36_501, "of at most 36,500"),
        ("release", "min_days", 0, "of at least 1"),
        ("release", "min_rows", 0, "of at least 1"),
        ("evaluation", "window_days", 0, "from 1 to 36,500"),
        ("evaluation", "min_area_under_roc", 1.5, "from 0 to 1"),
        ("evaluation", "max_calibration_error", -0.1, "from 0 to 1"),
        ("serve", "port", 65_536, "from 0 to 65535"),
        ("serve", "max_rows", 0, "of at least 1"),
        ("serve", "max_body_bytes", 0, "of at least 1"),
        ("serve", "poll_seconds", 0.0, "above 0, at most 86400"),
        ("lake", "max_records_per_file", 0, "of at least 1"),
        ("lake", "max_attempt_hours", 0.0, "above 0"),
        ("spark", "shuffle_partitions", 0, "of at least 1"),
        ("spark", "scores_from_mb", -1, "of at least 0"),
        ("raw.events", "min_rows", -1, "of at least 0"),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    monkeypatch: pytest.MonkeyPatch, section: str, name: str, value: float, wanted: str
) -> None:
    message = refusal(monkeypatch, f"[{section}]\n{name} = {value}")

    assert message == f"[{section}] {name}: wanted a value {wanted}; found {value}. Next: correct it"


def test_an_unchecked_feature_that_is_none_of_the_use_case_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, "[release]\nunchecked_features = amount, amonut") == (
        "[release] unchecked_features: wanted features of the use case (amount); found 'amonut' (did you mean 'amount'?). "
        "Next: correct it"
    )


def test_a_bound_on_evaluations_of_another_kind_of_label_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, "[evaluation]\nmax_rmse = 3") == (
        "[evaluation] max_rmse: wanted one of min_area_under_roc, min_area_under_pr, max_calibration_error for predictions of this "
        "kind (binary); found 3. Next: remove it, or set it in the section of the use case that it is for, "
        "[evaluation.<use case>]"
    )


def test_bounds_on_segments_that_the_use_case_does_not_declare_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(monkeypatch, "[evaluation]\nsegment_bounds = min_area_under_roc: 0.5") == (
        "[evaluation] segment_bounds: wanted bounds on segments, as in min_area_under_roc: 0.55, channel.min_area_under_roc: 0.5; "
        "found 'min_area_under_roc: 0.5', and the use case declares no segments. Next: correct it"
    )


def test_a_bound_on_segments_has_to_make_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Loans, "features", {"channel": Feature("STRING")})
    monkeypatch.setattr(cases.Loans, "segments", ("channel",))

    assert refusal(monkeypatch, "[evaluation]\nsegment_bounds = channel.min_area_under_roc: 5") == (
        "[evaluation] segment_bounds: wanted a value from 0 to 1; found 5.0. Next: correct it"
    )


def test_a_use_case_whose_history_has_no_beginning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch)

    with pytest.raises(ConfigurationError) as caught:
        settings("tests.unit.stubs.cases:Undated").check()

    assert str(caught.value) == (
        "[pipeline] first_date: wanted the first day that has landed; found none, and the use case "
        "tests.unit.stubs.cases.Undated declares none. Next: set [pipeline] first_date"
    )


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("training.label_delay_day", " (did you mean 'training.label_delay_days'?)"),
        ("raw.event.flag", " (did you mean 'raw.events.flag'?)"),
        ("training.events.seed", " (did you mean 'training.seed'?)"),
        ("unheard.of", ""),
    ],
)
def test_a_default_of_a_use_case_for_what_is_no_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, setting: str, hint: str
) -> None:
    monkeypatch.setattr(cases.Loans, "settings", {setting: 1})

    assert refusal(monkeypatch, "") == (
        f"setting {setting!r} of use case {NAME}: wanted section.key of the configuration; found an unknown key{hint}. "
        "Next: correct or remove it"
    )


def test_a_default_of_a_use_case_that_cannot_be_read_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Loans, "settings", {"training.seed": "one"})

    assert refusal(monkeypatch, "") == (
        "the use case's setting training.seed: wanted a value of type int; found 'one'. Next: correct it"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[somebody_elses]\nkey = 1",
        "[core]\ndefault-scheduler-port = 8083",
        "[RangeDaily]\ntask_limit = 5",
        f"[training.{loading.directory(CARDS)}]\nseed = 1",
        f"[raw.events.{loading.directory(CARDS)}]\nflag = x",
        "[training.credit_risk]\nseed = 1",
    ],
)
def test_sections_of_luigi_of_others_and_of_other_use_cases_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    configure(monkeypatch, text)

    settings().check()


def test_the_configuration_is_checked_when_the_first_stage_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(monkeypatch, f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n[training]\ntrees = 0\n")

    with pytest.raises(ConfigurationError, match=r"\[training\] trees"):
        Leaf(date=date(2026, 1, 1))


def test_a_feed_that_no_use_case_declares_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch)

    with pytest.raises(ConfigurationError) as caught:
        settings().feed("/lake", "event")

    assert str(caught.value) == (
        f"feed 'event': wanted one of events, outcomes; found no such feed in the use case {NAME} (did you mean 'events'?). "
        "Next: correct it"
    )


def test_a_configuration_file_that_was_asked_for_has_to_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LUIGI_CONFIG_PATH", str(tmp_path / "none.cfg"))

    with pytest.raises(ConfigurationError) as caught:
        check.configuration_files()

    assert str(caught.value) == (
        f"LUIGI_CONFIG_PATH: wanted a file; found {tmp_path}/none.cfg, which is not there. Next: correct or unset it"
    )


def test_the_help_of_luigis_command_shows_every_value() -> None:
    for family, section in sections.SECTIONS.items():
        for name, parameter in section.get_params():
            parser = argparse.ArgumentParser(prog="luigi")
            parser.add_argument(f"--{family}-{name}".replace("_", "-"), help=parameter.description)
            assert parameter.description is not None, (family, name)

            shown = parser.format_help()  # a percent sign that stands alone is an error

            assert without_blanks(parameter.description % {}) in without_blanks(shown), (family, name)


def without_blanks(text: str) -> str:
    """A text as it is wherever it is wrapped."""
    return "".join(text.split())
