"""What the benchmarks say of what they measured."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import contestants, growth, made, result, scoring, sides
from benchmarks.sides import Held
from spark_lib.models import model
from tests.support.checkout import ROOT


def process(proc: Path, pid: int, parent: int, command: str, kilobytes: int) -> None:
    place = proc / str(pid)
    place.mkdir()
    (place / "stat").write_text(f"{pid} (a (name) of two) S {parent} 1 1 0")
    (place / "cmdline").write_text("\0".join(command.split()))
    (place / "smaps_rollup").write_text(f"00 ---p [rollup]\nRss: 999999 kB\nPss:  {kilobytes} kB\nPss_Anon: 1 kB\n")


def test_memory_is_split_into_the_largest_worker_and_all_that_is_none(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, "python -m benchmarks", 50_000)
    process(tmp_path, 11, 10, "java -cp spark.jar org.apache.spark.deploy.SparkSubmit", 700_000)
    process(tmp_path, 12, 11, "python -m pyspark.daemon pyspark.worker", 20_000)
    process(tmp_path, 13, 12, "python -m pyspark.daemon pyspark.worker", 100_000)
    process(tmp_path, 14, 12, "python -m pyspark.daemon pyspark.worker", 130_000)
    process(tmp_path, 15, 1, "python -m pyspark.daemon pyspark.worker", 10**6)  # of another session
    (tmp_path / "16").mkdir()  # it has ended

    assert sides.held(10, tmp_path) == Held(total=1000, worker=130, driver=770)


def test_a_process_that_ended_while_it_was_looked_at_holds_nothing(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, "python", 50_000)
    process(tmp_path, 11, 10, "python", 50_000)
    (tmp_path / "11" / "smaps_rollup").unlink()

    assert sides.held(10, tmp_path).total == 50


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_memory_of_a_real_child_is_counted() -> None:
    ballast = "import sys; held = bytearray(b'x') * 300_000_000; print(len(held), flush=True); sys.stdin.read()"
    # A parent that does nothing else: what a worker of pytest holds changes while it is looked at.
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ballast!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as idle:
        assert idle.stdout is not None
        assert idle.stdout.readline() == "300000000\n"
        found = sides.held(idle.pid)
        idle.communicate("")

    assert 290 < found.total < 400
    assert found.worker == 0


def test_peaks_are_taken_part_by_part() -> None:
    assert Held(10, 1, 9).most(Held(8, 3, 5)) == Held(10, 3, 9)


def test_the_goal_is_held_against_the_faster_flavour_alone() -> None:
    taken = {"library": [1.0, 1.1, 0.9], "slow": [30.0, 31.0, 29.0], "fast": [10.0, 11.0, 9.0]}

    slow, fast = scoring.versus_fastest("rows", taken, times=12)

    assert (slow.name, slow.goal, slow.holds) == ("rows / slow", None, None)
    assert (fast.name, fast.goal, fast.holds) == ("rows / fast", 1 / 12, False)
    assert fast.ratio == pytest.approx(0.1, abs=1e-4)
    assert (fast.ours, fast.other) == ((1.0, 1.1, 0.9), (10.0, 11.0, 9.0))


def test_a_ratio_is_the_median_over_pairs_and_not_that_of_medians() -> None:
    found = result.judge("one", [(1, 10), (2, 4), (3, 3)], goal=0.5)

    assert (found.ratio, found.holds) == (0.5, True)


def test_the_exponent_of_a_power_of_the_rows_is_found_whatever_its_outliers() -> None:
    seconds = {rows: [2e-7 * rows**1.3, 2e-7 * rows**1.3, 999.0] for rows in (10**6, 4 * 10**6, 16 * 10**6)}

    assert result.exponent(seconds) == pytest.approx(1.3)


def test_what_grows_is_judged_above_idle_and_without_the_smallest_day() -> None:
    seconds = {100: [5.0], 1_000: [1.0], 10_000: [20.0]}
    peak = {100: Held(0, 150, 700), 1_000: Held(0, 300, 700), 10_000: Held(0, 260, 910)}

    exponent, worker, driver = growth.figures(seconds, peak, Held(0, 100, 600))

    assert exponent.ratio == pytest.approx(np.log10(20), abs=1e-4)
    assert (exponent.holds, worker.holds, driver.holds) == (False, True, None)
    assert (worker.ratio, driver.ratio) == (0.5, 1.3)
    assert "| 10,000 | 20.00 | 500 | 310 | 160 |" in growth.table(seconds, peak, Held(0, 100, 600))


def test_a_table_has_a_line_for_each_result_and_says_which_goals_are_missed() -> None:
    held = result.judge("held", [(1, 10)], goal=0.2)
    missed = replace(held, name="missed", goal=0.05, holds=False)

    assert result.table([held, missed]).splitlines()[2:] == [
        "| held | 0.1 | 0.2 | holds | 1.00 s (1.00 to 1.00) | 10.00 s (10.00 to 10.00) |",
        "| missed | 0.1 | 0.05 | **missed** | 1.00 s (1.00 to 1.00) | 10.00 s (10.00 to 10.00) |",
    ]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of both files of figures, which is not there yet."""
    results = tmp_path / "benchmarks" / "results"
    results.parent.mkdir()
    monkeypatch.setattr(result, "KEPT", results / result.KEPT.name)
    monkeypatch.setattr(result, "LOCAL", results / result.LOCAL.name)
    return results


def ratios(file: Path) -> dict[str, float]:
    return {entry["name"]: entry["ratio"] for entry in json.loads(file.read_text())}


def test_figures_take_the_place_of_those_of_the_same_name_and_all_others_stay(files: Path) -> None:
    result.record([result.judged("one", 1, None), result.judged("two", 1, 2)], files / "latest.json")
    result.record([result.judged("two", 3, 2)], files / "latest.json")

    assert ratios(files / "latest.json") == {"one": 1, "two": 3}
    assert [entry["holds"] for entry in json.loads((files / "latest.json").read_text())] == [None, False]
    assert [file.name for file in files.iterdir()] == ["latest.json"]


@pytest.mark.parametrize(("arguments", "file"), [([], "local.json"), (["--keep"], "latest.json")])
def test_only_a_run_that_is_told_to_keep_its_figures_writes_into_the_tracked_file(
    files: Path, arguments: list[str], file: str
) -> None:
    for name in ("local.json", "latest.json"):
        result.record([result.judged("another part", 1, None)], files / name)
    other = {"local.json": "latest.json", "latest.json": "local.json"}[file]

    given = result.parsed(result.options("One part."), arguments)
    result.record([result.judged("one part", 2, None)], given.into)

    assert ratios(files / file) == {"another part": 1, "one part": 2}
    assert ratios(files / other) == {"another part": 1}


def sized(*arguments: str) -> Namespace:
    """The command line of a benchmark whose goals are for 100 rows."""
    parser = result.options("One part.")
    parser.add_argument("--rows", type=int, default=100)
    return result.parsed(parser, arguments, rows=100)


def test_figures_of_another_size_are_printed_only(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result.record([result.judged("one part", 2, None)], sized("--rows", "7").into)

    assert "| one part | 2 |" in capsys.readouterr().out
    assert not files.exists()
    assert sized("--rows", "100").into == files / "local.json"


def test_figures_of_another_size_are_not_kept_and_this_is_said_before_anything_is_measured(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        sized("--rows", "7", "--keep")

    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(
        ": error: argument --keep: wanted --rows 100, which the goals are for; found 7. Next: leave out --keep or --rows\n"
    )


@pytest.mark.parametrize("damaged", ["", "[", "[1]", '{"name": 1}', "[{}]", "\udcff"])
def test_a_file_that_cannot_take_figures_is_named_before_anything_is_measured(
    files: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files.mkdir()
    (files / "local.json").write_bytes(damaged.encode(errors="surrogateescape"))

    with pytest.raises(SystemExit) as ended:
        sized()

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "error: benchmarks/results/local.json: wanted figures as a benchmark writes them; found " in said
    assert said.endswith(". Next: remove the file, or have git restore it\n")


def test_git_ignores_the_figures_of_a_checkout_and_tracks_the_kept_ones(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)

    ignored = {
        file: subprocess.run(["git", "-C", str(tmp_path), "check-ignore", "--quiet", str(file)]).returncode == 0
        for file in (result.LOCAL.relative_to(ROOT), result.KEPT.relative_to(ROOT))
    }

    assert [*ignored.values()] == [True, False]


def test_exactly_the_benchmarks_that_have_figures_take_keep() -> None:
    mains = {
        file.stem: file.read_text(encoding="utf-8").partition("def main()")[2]
        for file in (ROOT / "benchmarks").glob("*.py")
    }
    # The common command line is what a main that calls it does.
    mains = {
        part: main.replace("run(__doc__, results,", inspect.getsource(result.run).replace("description)", "__doc__)"))
        for part, main in mains.items()
    }

    takes_keep = {part for part, main in mains.items() if "options(__doc__)" in main and "parsed(" in main}
    has_figures = {part for part, main in mains.items() if "record(" in main}

    assert (
        takes_keep
        == has_figures
        == {
            *(
                "backfill",
                "bench",
                "cleaning",
                "csv_reading",
                "export",
                "planning",
                "publication",
                "s3_publish",
                "scoring",
            ),
            *("serving", "smote", "snapshots"),
        }
    )


@pytest.mark.parametrize(("variables", "keeps"), [([], False), (["KEEP=1"], True), (["KEEP=0"], False)])
def test_make_bench_keeps_figures_only_where_it_is_told_to(variables: list[str], keeps: bool) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "bench-full", *variables], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    commands = [line.partition("-m benchmarks.")[2].strip() for line in shown.splitlines() if "-m benchmarks." in line]
    kept = " --keep" if keeps else ""
    assert commands == [f"bench{kept}", f"smote --full{kept}", f"scoring{kept}"]


def test_rows_of_a_day_are_the_same_in_whatever_files_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "GROUP_ROWS", 300)
    days = [
        rows_of(made.land(f"{tmp_path}/{number}", 1_000, 3, shares))
        for number, shares in enumerate([made.EVEN, scoring.SKEWED, (1,)])
    ]

    assert days[0].num_rows == 1_000
    assert days[0]["id"].to_pylist() == list(range(1_000))
    assert len(set(days[0]["x0"].to_pylist())) > 990
    assert all(day == days[0] for day in days)


def rows_of(root: str) -> pa.Table:
    return pa.concat_tables(pq.ParquetFile(file).read() for file in made.inputs(root)).combine_chunks()


@pytest.mark.parametrize("ids", [[0, 1], [0, 1, 1], [0, 1, 2, 2]])
def test_scores_that_are_missing_or_there_twice_end_a_benchmark(tmp_path: Path, ids: list[int]) -> None:
    pq.write_table(pa.table({"id": ids, "score": [0.5] * len(ids)}), tmp_path / "a.parquet")

    with pytest.raises(SystemExit, match=rf"^{len(ids)} scores of 3 rows, "):
        made.scores(tmp_path, 3)


def test_scores_are_found_by_id_in_whatever_files_they_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [2, 0], "score": [0.2, 0.0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [1], "score": [0.1]}), tmp_path / "b.parquet")

    assert made.scores(tmp_path, 3).tolist() == [0.0, 0.1, 0.2]
    assert made.count(tmp_path) == 3


def test_scores_that_differ_end_a_benchmark() -> None:
    expected = np.array([0.1, 0.2])

    scoring.agree("a contestant", expected + 1e-7, expected)
    for wrong in (expected + 2e-6, np.array([0.1, np.nan])):
        with pytest.raises(SystemExit, match="the scores of a contestant are others"):
            scoring.agree("a contestant", wrong, expected)


def test_the_graph_that_mlflow_is_given_ends_in_the_positive_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "TRAINED_ROWS", 500)
    monkeypatch.setattr(made, "TREES", 3)
    forest = made.forest(str(tmp_path / "model"), 5)
    matrix = np.stack([*made.noise(50, 5, seed=9).values()], axis=1)

    found = model.load(contestants.positive_only(forest.onnx).SerializeToString()).run(None, {model.INPUT: matrix})

    assert len(found) == 1
    np.testing.assert_array_equal(found[0], model.score(model.load(forest.onnx), matrix))


def test_the_forest_of_classes_tells_ten_of_them_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "TRAINED_ROWS", 500)
    monkeypatch.setattr(made, "TREES", 3)

    forest = made.forest_of_classes(str(tmp_path / "model"), 5)

    assert model.classes_of(model.load(forest.onnx)) == 10
