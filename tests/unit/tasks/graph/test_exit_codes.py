"""What a user of Luigi's own command line sees: the exit code, and the reason on the last ERROR line.

Every test starts real processes in an empty directory, which is not the checkout.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.messages import TRAINING_KEYS
from tests.support.processes import Commands, Result
from tests.unit.stubs.stublake import FIRST_TRAINING, LOANS, StubLake, build, prepare

pytestmark = pytest.mark.processes

DAY = date(2026, 1, 14)
CHAIN = ("--module", "tests.unit.stubs.quick")
LATER = "Next: land the day's files, then its flag, and run again"
RESTORE = "Next: restore the file, or build the day anew (daystone rebuild {} --date {})"


@pytest.fixture
def lake(tmp_path: Path) -> StubLake:
    """The lake of the working directory, with every raw day of January."""
    lake = StubLake(tmp_path / "lake")
    lake.land(date(2026, 1, 31))
    return lake


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the predictions of a day, and all that they needed."""
    import tasks

    root = tmp_path_factory.mktemp("predicted") / "lake"
    with pytest.MonkeyPatch.context() as monkeypatch:
        lake = prepare(monkeypatch, root)
        lake.land(date(2026, 1, 31))
        build(tasks.BatchInference(date=DAY))
    return root


@pytest.fixture
def done(tmp_path: Path, predicted: Path) -> StubLake:
    """A copy of that lake in the working directory."""
    shutil.copytree(predicted, tmp_path / "lake")
    return StubLake(tmp_path / "lake")


def ask(lake: StubLake, stage: str, day: date | str = DAY, *arguments: str, config: str = "") -> Result:
    """Ask for a stage in the directory that the lake lies in."""
    given = ["--date", str(day), "--pipeline-use-case", LOANS, *arguments]
    return Commands(lake.root.parent).luigi(*CHAIN, stage, *given, config=config)


def outcome(result: Result) -> tuple[int, str]:
    return result.code, result.last_error


# 0


def test_0_once_everything_asked_for_is_there(lake: StubLake) -> None:
    result = ask(lake, "BatchInference")

    assert outcome(result) == (0, "")
    assert list(lake.published("predictions")) == [DAY]


def test_0_again_with_nothing_written_and_none_of_the_heavy_libraries_loaded(done: StubLake) -> None:
    before = done.written()
    source = (
        "import sys\nfrom luigi.cmdline import luigi_run\n"
        "try: luigi_run(sys.argv[1:])\n"
        "finally: print(*sorted({'pyspark', 'numpy', 'pandas', 'pyarrow', 'onnxruntime'} & set(sys.modules)))"
    )
    asked = ["--module", "tasks", "BatchInference", "--date", str(DAY), "--pipeline-use-case", LOANS]

    result = Commands(done.root.parent).python(source, *asked)

    assert (result.code, result.last_error, result.stdout.strip()) == (0, "", "")
    assert "Did not run any tasks" in result.stderr
    assert done.written() == before


def test_0_with_a_warning_where_the_predictions_of_a_day_are_held(lake: StubLake) -> None:
    lake.let_be_odd(DAY)

    result = ask(lake, "Release")

    assert outcome(result) == (0, "")
    warnings = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert any("release: held: mean score: 0.875 is odd; nothing is in force" in line for line in warnings)
    assert list(lake.published("release")) == [DAY]


# 20: data that others have yet to land


def test_20_the_own_raw_day_is_missing(lake: StubLake) -> None:
    flag = lake.flag("events", date(2026, 2, 1))

    result = ask(lake, "FeatureEngineering", date(2026, 2, 1))

    assert outcome(result) == (
        20,
        f"RawPartition of 2026-02-01: raw feed events of 2026-02-01: wanted the flag {flag}; found none yet. {LATER}",
    )


@pytest.mark.parametrize("stage", ["Balancing", "ModelSelection"])
@pytest.mark.parametrize("day", [date(2026, 1, 5), date(2026, 1, 9)], ids=["amid the window", "its last day"])
def test_20_a_day_of_the_training_window_is_missing(lake: StubLake, stage: str, day: date) -> None:
    lake.flag("events", day).unlink()

    result = ask(lake, stage, DAY if stage == "ModelSelection" else FIRST_TRAINING)

    assert outcome(result) == (
        20,
        f"RawPartition of {day}: raw feed events of {day}: wanted the flag {lake.flag('events', day)}; found none yet. {LATER}",
    )


def test_20_the_outcomes_of_a_training_date_are_missing_behind_a_selection(lake: StubLake) -> None:
    lake.flag("outcomes", FIRST_TRAINING).unlink()

    result = ask(lake, "BatchInference")

    flag = lake.flag("outcomes", FIRST_TRAINING)
    assert outcome(result) == (
        20,
        f"RawPartition of 2026-01-12: raw feed outcomes of 2026-01-12: wanted the flag {flag}; found none yet. {LATER}",
    )


# 30: what somebody has to mend


def test_30_a_raw_file_that_cannot_be_read_with_how_many_stages_need_it(lake: StubLake) -> None:
    file = lake.flag("events", date(2026, 1, 5)).with_name("unreadable")
    file.touch()

    result = ask(lake, "Balancing", FIRST_TRAINING)

    code, reason = outcome(result)
    assert code == 30
    assert reason.partition(": ")[2] == (
        f"{file}: wanted a file that can be read; found none (5 stages of this run need the file). Next: land it again"
    )


def test_30_a_hole_in_earlier_history(lake: StubLake) -> None:
    lake.flag("events", date(2026, 1, 2)).unlink()

    result = ask(lake, "FeatureEngineering")

    assert outcome(result) == (
        30,
        "FeatureEngineering of 2026-01-14: raw feed events: wanted every day from 2026-01-01 to 2026-01-14; "
        f"found no flag '_SUCCESS' on 2026-01-02, as in {lake.flag('events', date(2026, 1, 2)).parent}. Next: land the "
        "missing days (a flagged day may be empty), or set [pipeline] first_date to the first day that exists",
    )


def test_30_of_several_reasons_the_one_that_the_code_means_comes_last(lake: StubLake) -> None:
    lake.flag("events", date(2026, 1, 5)).unlink()

    result = ask(lake, "BatchInference")

    assert result.code == 30
    assert result.last_error.startswith("FeatureEngineering of 2026-01-14: raw feed events: wanted every day from ")
    assert "ERROR: RawPartition of 2026-01-05" in result.stderr


def test_30_no_candidate_is_approved(lake: StubLake) -> None:
    lake.judge(date(2026, 1, 19), "gate", "area under ROC 0.52 (0.6 wanted)")
    lake.judge(FIRST_TRAINING, "inconclusive", "too few positives: 3 in the window, min_positives is 200")

    result = ask(lake, "BatchInference", date(2026, 1, 20))

    assert outcome(result) == (
        30,
        "ModelSelection of 2026-01-20: model for 2026-01-20: wanted an approved training; "
        "found 2026-01-19 gate: area under ROC 0.52 (0.6 wanted); 2026-01-12 inconclusive: too few positives: 3 in the "
        "window, min_positives is 200. Next: read the card of each (daystone files model --date DATE), mend the data or the "
        "settings, then train anew (daystone rebuild balanced --date DATE where its rows are to change, daystone rebuild "
        "model --date DATE)",
    )


def test_30_there_is_nothing_to_train_on_yet(lake: StubLake) -> None:
    result = ask(lake, "BatchInference", date(2026, 1, 11))

    assert outcome(result) == (
        30,
        "ModelSelection of 2026-01-11: model for 2026-01-11: wanted a weekly training date whose window of 7 days, ending 2 "
        "days before it, begins on or after first_date 2026-01-01; found nothing to train on before 2026-01-12. Next: ask for "
        "a day from 2026-01-12 on, or set [training] window_days, label_delay_days or cadence",
    )


def test_30_a_run_ends_without_having_published(lake: StubLake) -> None:
    result = ask(lake, "Idle")

    assert outcome(result) == (
        30,
        "Idle of 2026-01-14: run of Idle of 2026-01-14: wanted no exception; found TaskException: Task finished running, but "
        "complete() is still returning false. Next: read the traceback in the log of the run",
    )


@pytest.mark.parametrize(
    ("arguments", "users_own", "reason"),
    [
        (
            [],
            "[training]\nwindow_day = 3\n",
            f"[training] window_day: wanted one of {TRAINING_KEYS}; found an unknown key "
            "(did you mean 'window_days'?). Next: correct or remove it",
        ),
        (
            [],
            "[pipelines]\nfirst_date = 2026-01-01\n",
            "[pipelines]: wanted a known section; found an unknown one (did you mean 'pipeline'?). Next: correct or remove it",
        ),
        (
            ["--training-window-days", "a week"],
            "",
            "--training-window-days: wanted a value of type int; found 'a week'. Next: correct it",
        ),
        (
            ["--pipeline-first-date", "2026"],
            "",
            "--pipeline-first-date: wanted a value of type date; found '2026'. Next: correct it",
        ),
        (
            ["--training-trees", "0"],
            "",
            "--training-trees: wanted a value of at least 1; found 0. Next: correct it",
        ),
        (
            ["--use-case", "credit_risc"],
            "",
            "use case 'credit_risc': wanted a shipped use case or module:Class that Python can import; found neither a shipped "
            "use case nor module:Class (did you mean 'credit_risk'?). Next: set [pipeline] use_case to one of "
            "credit_risk, product_category or to your own module:Class, on PYTHONPATH",
        ),
        (
            ["--workers", "2"],
            "",
            "--workers: wanted 1: the stages of a process share one Spark session, which does not survive Luigi's fork; found "
            "2. Next: leave --workers out and give Spark more cores ([spark] master), or run several processes against luigid",
        ),
    ],
    ids=["unknown key", "unknown section", "no number", "no date", "out of bounds", "unknown use case", "workers"],
)
def test_30_a_configuration_that_cannot_work(tmp_path: Path, arguments: list[str], users_own: str, reason: str) -> None:
    result = ask(StubLake(tmp_path / "lake"), "Leaf", DAY, *arguments, config=users_own)

    assert outcome(result) == (30, reason)
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "lake").exists()


def test_30_the_root_of_the_lake_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")

    result = ask(StubLake(tmp_path / "lake"), "Leaf")

    assert outcome(result) == (
        30,
        f"lake root {tmp_path}/lake: wanted a directory; found a file. Next: set [lake] root (--lake-root) to another place",
    )


def test_30_the_root_of_the_lake_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "lake").symlink_to(tmp_path / "not-mounted" / "disk")  # who is root may write wherever there is a place

    result = ask(StubLake(tmp_path / "lake"), "Leaf")

    assert outcome(result) == (
        30,
        f"Leaf of 2026-01-14: {tmp_path}/lake: wanted a directory that can be written; found No such file or directory. "
        "Next: check the path, its owner and rights, and the space on the disk",
    )


# 35: damaged


def test_35_the_own_output_is_damaged(done: StubLake) -> None:
    file = done.damage("predictions", DAY)

    result = ask(done, "BatchInference")

    assert outcome(result) == (
        35,
        f"BatchInference of 2026-01-14: predictions of 2026-01-14: {file}: wanted 19 bytes; found no file. "
        f"{RESTORE.format('predictions', DAY)}",
    )


def test_35_a_dependency_is_damaged(done: StubLake) -> None:
    done.delete("predictions", DAY)
    file = done.damage("features", DAY)
    file.write_text("longer than what was published")

    result = ask(done, "BatchInference")

    assert outcome(result) == (
        35,
        f"FeatureEngineering of 2026-01-14: features of 2026-01-14: {file}: wanted 18 bytes; found 30 bytes. "
        f"{RESTORE.format('features', DAY)}",
    )


@pytest.mark.parametrize(
    ("family", "dataset", "day"),
    [("Training", "model", FIRST_TRAINING), ("FeatureEngineering", "features", date(2026, 1, 5))],
    ids=["a candidate", "a day of its window"],
)
def test_35_something_behind_a_selection_is_damaged(done: StubLake, family: str, dataset: str, day: date) -> None:
    for deleted in ("selection", "predictions"):
        done.delete(deleted, DAY)
    if dataset == "features":
        done.delete("model", FIRST_TRAINING)
        done.delete("balanced", FIRST_TRAINING)
    sizes = {file: file.stat().st_size for file in done.partition(dataset, day).glob("run=*/*")}
    file = done.damage(dataset, day)

    result = ask(done, "BatchInference")

    assert outcome(result) == (
        35,
        f"{family} of {day}: {dataset} of {day}: {file}: wanted {sizes[file]} bytes; found no file. "
        f"{RESTORE.format(dataset, day)}",
    )


def test_35_the_model_that_is_pinned_is_damaged(done: StubLake) -> None:
    done.delete("predictions", DAY)
    (file,) = done.partition("model", FIRST_TRAINING).glob("run=*/model.onnx")
    file.write_bytes(b"x" * file.stat().st_size)

    code, reason = outcome(ask(done, "BatchInference"))

    assert code == 35
    assert reason.startswith(f"ModelSelection of 2026-01-14: {file}: wanted sha256:")


# 2: usage


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--date", "2026-02-30"], "ERROR: --date: wanted a day like 2026-11-20; found '2026-02-30'"),
        (
            ["--date", "0001-01-10"],
            "ERROR: --date: wanted a day from 1900-01-01 to 2199-12-31; found '0001-01-10'",
        ),
        ([], "ERROR: BatchInference: requires the 'date' parameter to be set"),
        (["--dote", "2026-01-14"], "luigi: error: unrecognized arguments: --dote 2026-01-14"),
        (["--date", "2026-01-14", "--training-tree", "3"], "luigi: error: unrecognized arguments: --training-tree 3"),
    ],
    ids=["no such day", "a day of another age", "no date", "misspelt option", "shortened option"],
)
def test_2_a_command_that_cannot_be_meant(tmp_path: Path, arguments: list[str], reason: str) -> None:
    result = Commands(tmp_path).luigi("--module", "tasks", "BatchInference", *arguments)

    assert (result.code, result.stderr.strip().splitlines()[-1]) == (2, reason)
    assert not (tmp_path / "lake").exists()


# Where the codes come from


def test_the_codes_and_defaults_hold_where_there_is_no_file_of_ours(tmp_path: Path) -> None:
    packages = tmp_path / "installed"
    for package in ("tasks", "spark_lib"):
        shutil.copytree(ROOT / package, packages / package)
    (tmp_path / "work").mkdir()
    asked = ["--module", "tasks", "FeatureEngineering", "--date", "2026-01-01"]

    result = Commands(tmp_path / "work", packages).luigi(*asked)

    flag = tmp_path / "work/lake/credit_risk/raw/applications/date=2026-01-01/_SUCCESS"
    assert outcome(result) == (
        20,
        f"RawPartition of 2026-01-01: raw feed applications of 2026-01-01: wanted the flag {flag}; found none yet. {LATER}",
    )


def test_the_users_own_file_wins_over_ours(tmp_path: Path) -> None:
    users_own = f"[lake]\nroot = {tmp_path}/their-own\n[retcode]\nmissing_data = 77\n[core]\nlog_level = ERROR\n"
    asked = ["--module", "tasks", "FeatureEngineering", "--date", "2026-01-01"]

    result = Commands(tmp_path).luigi(*asked, config=users_own)

    assert result.code == 77
    assert f"wanted the flag {tmp_path}/their-own/credit_risk/raw/" in result.last_error
    assert "INFO" not in result.stderr


def test_a_luigi_cfg_of_the_working_directory_wins_over_ours(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text("[lake]\nroot = of-this-directory\n")

    result = Commands(tmp_path).luigi("--module", "tasks", "FeatureEngineering", "--date", "2026-01-01")

    assert result.code == 20
    assert f"wanted the flag {tmp_path}/of-this-directory/credit_risk/raw/" in result.last_error


def test_the_lake_and_the_use_case_may_be_given_as_parameters_of_the_stage(tmp_path: Path) -> None:
    asked = ["--lake", str(tmp_path / "given"), "--use-case", LOANS, "--date", "2026-01-01"]

    result = Commands(tmp_path).luigi(*CHAIN, "Leaf", *asked)

    assert outcome(result) == (0, "")
    assert list(StubLake(tmp_path / "given").published("leaf")) == [date(2026, 1, 1)]


def test_luigid_is_asked_where_the_users_own_file_switches_the_local_scheduler_off(tmp_path: Path) -> None:
    nobody = "[core]\nlocal_scheduler = false\nrpc-retry-attempts = 1\nrpc-retry-wait = 0\n"
    asked = ["--pipeline-use-case", LOANS, "--date", "2026-01-01", "--scheduler-url", "http://127.0.0.1:9/"]

    result = Commands(tmp_path).luigi(*CHAIN, "Leaf", *asked, config=nobody)

    assert result.code != 0
    assert "127.0.0.1" in result.stderr
    assert StubLake(tmp_path / "lake").published("leaf") == {}
