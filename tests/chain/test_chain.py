"""The promise of the chain, by real processes: it builds what is missing, nothing else, and says so by its exit code."""

from __future__ import annotations

import json
import os
import signal
from datetime import date
from pathlib import Path

import spark_lib
from tests.chain.chains import MONDAY, Chain, ended, listing
from tests.chain.conftest import DAY
from tests.support.patience import until


def test_the_first_model_is_of_the_first_monday_that_the_data_reach_back_far_enough_for(sample_lake: Chain) -> None:
    (predictions,) = sample_lake.lake.require("predictions", date.fromisoformat(DAY))

    assert [day for dataset, day in sample_lake.published() if dataset == "model"] == [MONDAY]
    assert predictions.manifest.metrics["model_date"] == MONDAY


def test_each_landed_row_has_one_score(sample_lake: Chain) -> None:
    day = date.fromisoformat(DAY)
    predictions = spark_lib.read_pandas(str(sample_lake.root), "credit_risk", "predictions", day)
    landed = spark_lib.read_pandas(str(sample_lake.root), "credit_risk", "features", day)

    assert sorted(predictions["loan_id"]) == sorted(landed["loan_id"])
    assert len(predictions) == 500
    assert predictions["score"].between(0, 1).all()
    assert predictions["score"].nunique() > 10
    assert set(predictions["model_date"]) == {date.fromisoformat(MONDAY)}


def test_only_what_the_day_needs_is_built(sample_lake: Chain) -> None:
    window = [f"2026-01-{day:02}" for day in range(1, 5)]

    assert set(sample_lake.published()) == {
        *(("features", day) for day in [*window, DAY]),
        ("balanced", MONDAY),
        ("model", MONDAY),
        ("selection", DAY),
        ("predictions", DAY),
    }


def test_running_again_starts_no_jvm_and_writes_nothing(chain: Chain) -> None:
    before = listing(chain.root)

    result = chain.succeeds("BatchInference", "--date", DAY)

    assert "Did not run any tasks" in result.stderr
    assert chain.java_calls() == []
    assert listing(chain.root) == before


def test_predictions_that_were_deleted_are_inferred_again_and_nothing_else_runs(chain: Chain) -> None:
    before, rows = chain.published(), chain.rows("predictions", DAY)
    chain.delete("predictions", day=DAY)

    chain.succeeds("BatchInference", "--date", DAY)

    assert changed(before, chain.published()) == {("predictions", DAY)}
    assert chain.rows("predictions", DAY) == rows
    assert chain.java_calls() == [], "what is there to score a day with needs no JVM"


def test_features_and_predictions_that_were_deleted_are_both_rebuilt_and_nothing_else(chain: Chain) -> None:
    before = chain.published()
    rows = chain.contents("features", DAY), chain.contents("predictions", DAY)
    chain.delete("features", "predictions", day=DAY)

    chain.succeeds("BatchInference", "--date", DAY)

    assert changed(before, chain.published()) == {("features", DAY), ("predictions", DAY)}
    assert (chain.contents("features", DAY), chain.contents("predictions", DAY)) == rows


def test_features_alone_that_were_deleted_leave_predictions_with_nothing_to_do(chain: Chain) -> None:
    chain.delete("features", day=DAY)
    before = listing(chain.root)

    chain.succeeds("BatchInference", "--date", DAY)

    assert chain.java_calls() == []
    assert listing(chain.root) == before


def test_features_that_are_asked_for_are_rebuilt_and_nothing_else(chain: Chain) -> None:
    before, rows = chain.published(), chain.rows("features", DAY)
    chain.delete("features", day=DAY)

    chain.succeeds("FeatureEngineering", "--date", DAY)

    assert changed(before, chain.published()) == {("features", DAY)}
    assert chain.rows("features", DAY) == rows
    assert chain.sessions() == 1


def test_a_run_leaves_no_process_and_no_file_outside_the_lake_and_the_log(sample_lake: Chain) -> None:
    until(lambda: not sample_lake.processes())

    assert left(sample_lake.scratch / "work") == []
    assert left(sample_lake.scratch / "home") == []
    assert [path for path in left(sample_lake.scratch / "tmp") if not path.startswith("luigi")] == []  # its lock file
    assert [path for path in left(sample_lake.scratch / "state") if not path.startswith("daystone")] == []
    assert not list(sample_lake.root.rglob(".*"))


def test_two_processes_that_build_the_same_day_at_the_same_moment_both_succeed_and_publish_once(
    chain: Chain, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    build = ["FeatureEngineering", "--date", DAY, "--pipeline-use-case", "gated:Gated"]
    # Luigi's own lock keeps the same command line from running twice; without it, as from two machines:
    first, second = (chain.start(*build, "--no-lock", env={"GATE": str(gate)}) for _ in range(2))
    with ended(first, second):
        until(lambda: len(list(gate.iterdir())) == 2)
        (gate / "open").touch()
        results = first.wait(), second.wait()

    assert [result.code for result in results] == [0, 0]
    day = chain.root / "gated.Gated" / "features" / f"date={DAY}"
    manifest = json.loads((day / "_SUCCESS").read_text())
    assert [path.name for path in day.glob("run=*")] == [f"run={manifest['run']}"]
    assert Chain(chain.root, chain.scratch, "gated.Gated").rows("features", DAY) == chain.rows("features", DAY)


def test_ctrl_c_and_sigterm_end_a_run_at_once_and_publish_nothing(chain: Chain, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    build = ["FeatureEngineering", "--pipeline-use-case", "gated:Gated", "--date"]
    interrupted, terminated = (
        chain.start(*build, day, env={"GATE": str(gate)}) for day in ("2026-01-03", "2026-01-04")
    )
    with ended(interrupted, terminated):
        until(lambda: len(list(gate.iterdir())) == 2)
        os.killpg(interrupted.process.pid, signal.SIGINT)  # as a terminal does
        terminated.process.terminate()  # as systemd does first
        codes = interrupted.wait().code, terminated.wait().code
        until(lambda: not chain.processes())

    assert 0 not in codes, codes
    assert not list(chain.root.glob("gated.Gated/features/*/_SUCCESS"))


def changed(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> set[tuple[str, str]]:
    """The partitions whose published run is another one now."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def left(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
