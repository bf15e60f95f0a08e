"""What cannot be done is refused with the right exit code, and the reason on the last ERROR line, by the real chain.

What a feed's files can have wrong is tested in tests/spark, the codes of a chain of stubs in tests/unit.
"""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from pathlib import Path

import pytest

import spark_lib
from tests.chain.chains import FEW_DAYS, MONDAY, Chain, listing
from tests.chain.conftest import DAY
from tests.support.processes import Result

TUESDAY = "2026-01-27"
#: A training a day of a small model, which is rejected as a big one would be.
DAILY = [
    *("--training-cadence", "daily", "--training-max-candidates", 2),
    *("--training-trees", 5, "--training-bootstrap-replicates", 100),
]


def test_a_day_that_has_not_landed_is_waited_for(chain: Chain) -> None:
    chain.delete("features", "predictions", day=DAY)
    flag = raw(chain, "applications", DAY) / "_SUCCESS"
    flag.unlink()
    before = listing(chain.root)

    result = chain.luigi("BatchInference", "--date", DAY)

    assert result.code == 20
    assert result.last_error == (
        f"RawPartition of {DAY}: raw feed applications of {DAY}: wanted the flag {flag}; found none yet. "
        "Next: land the day's files, then its flag, and run again"
    )
    assert chain.java_calls() == []
    assert listing(chain.root) == before


def test_a_training_day_that_has_not_landed_is_waited_for_behind_the_selection(chain: Chain) -> None:
    chain.delete("selection", "predictions", day=DAY)
    chain.delete("balanced", "model", day=MONDAY)
    chain.delete("features", day="2026-01-03")
    (raw(chain, "applications", "2026-01-03") / "_SUCCESS").unlink()

    result = chain.luigi("BatchInference", "--date", DAY)

    assert result.code == 20, result.stderr[-5_000:]
    assert "RawPartition of 2026-01-03: raw feed applications of 2026-01-03: wanted the flag" in result.last_error
    assert chain.java_calls() == []


def test_a_hole_in_earlier_history_is_an_error(chain: Chain) -> None:
    chain.delete("features", "predictions", day=DAY)
    (raw(chain, "applications", "2026-01-02") / "_SUCCESS").unlink()

    result = chain.luigi("BatchInference", "--date", DAY)

    assert result.code == 30
    assert "every day from 2026-01-01 to 2026-02-01; found no flag '_SUCCESS' on 2026-01-02" in result.last_error
    assert chain.sessions() == 0


def test_damaged_predictions_are_neither_done_nor_missing(chain: Chain) -> None:
    file = next(chain.day("predictions", DAY).glob("run=*/*.parquet"))
    size = file.stat().st_size
    with file.open("ab") as end:
        end.write(b"more")

    result = chain.luigi("BatchInference", "--date", DAY)

    assert result.code == 35
    assert f"predictions of {DAY}: {file}: wanted {size} bytes; found {size + 4} bytes" in result.last_error
    assert chain.java_calls() == []


def test_a_damaged_model_is_named_by_the_selection_that_would_consider_it(chain: Chain) -> None:
    chain.delete("selection", "predictions", day=DAY)
    file = next(chain.day("model", MONDAY).glob("run=*/model.onnx"))
    file.unlink()

    result = chain.luigi("BatchInference", "--date", DAY)

    assert result.code == 35, result.stderr[-5_000:]
    assert f"model of {MONDAY}: {file}" in result.last_error
    assert "found no file" in result.last_error
    assert chain.java_calls() == []


def test_a_pinned_model_whose_bytes_have_changed_scores_nothing(chain: Chain) -> None:
    """Its size has not changed: only its checksum tells."""
    chain.delete("predictions", day=DAY)
    file = next(chain.day("model", MONDAY).glob("run=*/model.onnx"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    result = chain.luigi("BatchInference", "--date", DAY)

    assert result.code == 35
    assert f"{file}: wanted sha256:" in result.last_error
    assert not list(chain.day("predictions", DAY).glob("*"))


def test_before_the_first_training_there_is_nothing_to_score_with(chain: Chain) -> None:
    result = chain.luigi("ModelSelection", "--date", "2026-01-25")

    assert result.code == 30
    assert f"nothing to train on before {MONDAY}" in result.last_error
    assert chain.java_calls() == []


@pytest.fixture(scope="module")
def tuesday(sample_lake: Chain, tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, Result]:
    """Predictions of a day on which the newest of two candidates was rejected for its data, and what Luigi said."""
    home = tmp_path_factory.mktemp("tuesday")
    shutil.copytree(sample_lake.root, home / "lake")
    chain = Chain(home / "lake", home / "scratch", own=FEW_DAYS)
    return chain, chain.succeeds("BatchInference", "--date", TUESDAY, *DAILY, "--training-min-positives", 100_000)


def test_a_newest_candidate_that_is_rejected_leaves_an_older_model_in_force_and_a_warning(
    tuesday: tuple[Chain, Result],
) -> None:
    chain, result = tuesday

    reason = rejection(chain, TUESDAY)
    assert re.fullmatch(r"inconclusive: too few positives: \d{3} in the window, min_positives is 100,000", reason)
    assert f"WARNING: selection: model of {MONDAY}; newer ones were rejected: {TUESDAY} {reason}" in result.stderr
    predictions = spark_lib.read_pandas(str(chain.root), "credit_risk", "predictions", date.fromisoformat(TUESDAY))
    assert set(predictions["model_date"]) == {date.fromisoformat(MONDAY)}
    assert len(predictions) == 500


def test_without_an_approved_model_each_candidate_is_listed_with_its_reason(tuesday: tuple[Chain, Result]) -> None:
    chain, _ = tuesday
    chain.delete("selection", "predictions", day=TUESDAY)
    chain.delete("model", day=MONDAY)

    result = chain.luigi("BatchInference", "--date", TUESDAY, *DAILY, "--training-min-area-under-roc", "0.99")

    assert result.code == 30
    reasons = f"{TUESDAY} {rejection(chain, TUESDAY)}; {MONDAY} {rejection(chain, MONDAY)}"
    assert re.fullmatch(r"gate: area under ROC 0\.\d{4}, lower end 0\.\d{4} below 0\.9900", rejection(chain, MONDAY))
    assert f"model for {TUESDAY}: wanted an approved training; found {reasons}. Next: " in result.last_error
    assert not list(chain.day("model", MONDAY).glob("run=*/model.onnx"))
    assert not chain.day("selection", TUESDAY).exists()


def test_a_flagged_day_without_rows_is_published_empty_all_the_way_to_predictions(chain: Chain) -> None:
    for file in raw(chain, "applications", TUESDAY).glob("*.parquet"):
        file.unlink()

    chain.succeeds("BatchInference", "--date", TUESDAY)

    for dataset in ("features", "predictions"):
        (partition,) = chain.lake.require(dataset, date.fromisoformat(TUESDAY))
        assert partition.manifest.rows() == 0
        table = spark_lib.read_arrow(str(chain.root), "credit_risk", dataset, date.fromisoformat(TUESDAY))
        full = spark_lib.read_arrow(str(chain.root), "credit_risk", dataset, date.fromisoformat(DAY))
        assert table.num_rows == 0
        assert table.schema == full.schema


def raw(chain: Chain, feed: str, day: str) -> Path:
    return chain.root / "credit_risk" / "raw" / feed / f"date={day}"


def rejection(chain: Chain, day: str) -> str:
    """Why a training was rejected, by its card."""
    verdict = json.loads(chain.card(day))["verdict"]
    assert not verdict["approved"]
    return f"{verdict['reason']}: {verdict['detail']}"
