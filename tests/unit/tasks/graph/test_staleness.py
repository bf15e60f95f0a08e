"""docs/staleness.md: each change makes stale what its table says, on a lake that was built by the real stages over bodies
that need no Spark.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import spark_lib.stages.balancing
import spark_lib.stages.features
import tasks
from spark_lib.lake import Documents, days
from spark_lib.use_case import fingerprint
from tasks.cli.place import configured
from tasks.graph.staleness import CodeChanged, InputChanged, LibraryChanged, Reason, SettingChanged, State, States
from tasks.planning import standing
from tests.support.checkout import ROOT
from tests.unit.stubs.stublake import CONTESTED, StubLake, build, prepare

PAGE = ROOT / "docs" / "staleness.md"
pytestmark = pytest.mark.slow

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 20)
LANDED_AGAIN = date(2026, 1, 5)
DATASETS = ("features", "balanced", "model", "selection", "predictions")
VERSIONS = {"daystone": "1.0", "python": "3.11.2"} | dict.fromkeys(
    ("pyspark", "pyarrow", "numpy", "scikit-learn", "onnx", "onnxmltools", "onnxruntime"), "4.1.2"
)


@dataclass(frozen=True)
class Planted:
    """A built lake, as a test changes it."""

    lake: StubLake
    code: Path
    patch: pytest.MonkeyPatch

    def configure(self, settings: str) -> None:
        prepare(self.patch, self.lake.root, settings, CONTESTED)

    def write(self, feed: str, day: date, rows: bytes) -> None:
        (self.lake.flag(feed, day).parent / "rows.csv").write_bytes(rows)

    def upgrade(self, **versions: str) -> None:
        self.patch.setattr(fingerprint, "_versions", lambda: VERSIONS | versions)

    def rebuild(self, stage: type[tasks.Stage], day: date) -> None:
        again = stage(date=day)
        again.force = True
        build(again)

    def rebuild_features_otherwise(self) -> None:
        other = Documents({"rows.txt": b"other"})
        self.patch.setattr(spark_lib.stages.features, "build", lambda *given: other)
        self.rebuild(tasks.FeatureEngineering, LAST)
        self.rebuild(tasks.FeatureEngineering, LANDED_AGAIN)

    def rewrite(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change what every manifest says."""
        for file in (self.lake.root / self.lake.name).glob("*/date=*/_SUCCESS"):
            if file.parent.parent.parent.name != "raw" and file.stat().st_size:
                document = json.loads(file.read_bytes())
                change(document)
                file.write_text(json.dumps(document))

    def states(self) -> States:
        place = configured()
        spans = dict.fromkeys(DATASETS, (FIRST, LAST))
        return standing.look(place.partitions, place.feeds, standing.todays(LAST), spans)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with predictions of the last two days, and the code of a use case beside it."""
    home = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        code = home / "code" / "planted"
        code.mkdir(parents=True)
        (code / "__init__.py").touch()
        (code / "helper.py").write_text("FACTOR = 2\n")
        (code / "case.py").write_text("from planted import helper\n\nLIMIT = 3 * helper.FACTOR\n")
        judged_by(patch, home / "code")
        lake = prepare(patch, home / "lake", use_case=CONTESTED)
        lake.land(LAST)
        for feed in ("events", "outcomes"):
            for day in days(FIRST, LAST):
                (lake.flag(feed, day).parent / "rows.csv").write_text(f"{feed} {day}\n")
        build(*(tasks.BatchInference(date=date(2026, 1, day)) for day in (19, 20)))
    return home


def judged_by(patch: pytest.MonkeyPatch, code: Path) -> None:
    """Let the planted package be the use case's code, and let the versions be known."""
    patch.syspath_prepend(str(code))
    patch.delitem(sys.modules, "planted", raising=False)
    patch.setattr(fingerprint, "_of_loaded", lambda name: fingerprint.of_module("planted.case"))
    patch.setattr(fingerprint, "_versions", lambda: VERSIONS)


@pytest.fixture
def planted(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """A copy of the built lake: every file has another inode and another time."""
    for name in ("lake", "code"):
        shutil.copytree(built / name, tmp_path / name, copy_function=shutil.copyfile)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    judged_by(monkeypatch, tmp_path / "code")
    return Planted(prepare(monkeypatch, tmp_path / "lake", use_case=CONTESTED), tmp_path / "code", monkeypatch)


def _copied(planted: Planted) -> None:
    elsewhere = planted.lake.root.with_name("elsewhere")
    os.rename(planted.lake.root, elsewhere)
    prepare(planted.patch, elsewhere, use_case=CONTESTED)


def _landed_the_same(planted: Planted) -> None:
    file = planted.lake.flag("events", LANDED_AGAIN).parent / "rows.csv"
    body = file.read_bytes()
    file.unlink()
    file.write_bytes(body)


def _earlier(planted: Planted) -> None:
    planted.lake.land(date(2025, 12, 31), date(2025, 12, 31))
    planted.write("events", date(2025, 12, 31), b"old")
    planted.configure(f"[pipeline.{planted.lake.name}]\nfirst_date = 2025-12-31\n")


def _edited(file: str, text: str) -> Callable[[Planted], None]:
    def edit(planted: Planted) -> None:
        with (planted.code / "planted" / file).open("a") as code:
            code.write(text)

    return edit


def _without_digests(planted: Planted) -> None:
    def forget(document: dict[str, Any]) -> None:
        document.pop("digest")
        for given in document["inputs"]:
            given.pop("digests")

    planted.rewrite(forget)
    planted.rebuild_features_otherwise()


def _set_rebuilt_otherwise(planted: Planted) -> None:
    body = spark_lib.stages.balancing.build

    def other(*given: object) -> Documents:
        return replace(body(*given), files={"rows.txt": b"other"})

    planted.patch.setattr(spark_lib.stages.balancing, "build", other)
    planted.rebuild(tasks.Balancing, date(2026, 1, 19))


def _another_model(planted: Planted) -> None:
    planted.lake.let_lose(date(2026, 1, 19))
    planted.rebuild(tasks.ModelSelection, LAST)


def _recorded_less(planted: Planted) -> None:
    def forget(document: dict[str, Any]) -> None:
        document |= {"settings": {}, "code": {"daystone": "0.1.0", "use_case": "old"}, "inputs": [], "versions": {}}

    planted.rewrite(forget)


def _setting_not_recorded(planted: Planted) -> None:
    planted.rewrite(lambda document: document["settings"].pop("trees", None))
    planted.configure("[training]\ntrees = 3\n")


CHANGES: dict[str, Callable[[Planted], object]] = {
    "nothing": lambda planted: None,
    "the lake is copied to another place": _copied,
    "a raw day of the scored feed is landed again with the same files": _landed_the_same,
    "a raw day of the scored feed is landed again with other files": lambda planted: planted.write(
        "events", LANDED_AGAIN, b"other"
    ),
    "a raw day of outcomes is landed again with other files": lambda planted: planted.write(
        "outcomes", LANDED_AGAIN, b"other"
    ),
    "a raw day is removed": lambda planted: planted.lake.flag("events", LANDED_AGAIN).unlink(),
    "history begins a day earlier": _earlier,
    "history begins a day later": lambda planted: planted.configure(
        f"[pipeline.{planted.lake.name}]\nfirst_date = 2026-01-02\n"
    ),
    "a setting of the training set": lambda planted: planted.configure("[training]\nbalancing = smote\n"),
    "a setting of the training": lambda planted: planted.configure("[training]\ntrees = 3\n"),
    "a gate": lambda planted: planted.configure("[training]\nmin_area_under_roc = 0.7\n"),
    "a setting of the selection": lambda planted: planted.configure("[training]\nmax_candidates = 3\n"),
    "a setting that several stages use": lambda planted: planted.configure("[training]\nseed = 7\n"),
    "a setting that no result depends on": lambda planted: planted.configure(
        f"[lake.{planted.lake.name}]\nmax_records_per_file = 7\n"
    ),
    "a setting that the manifests do not record": _setting_not_recorded,
    "a comment in the use case": _edited("case.py", "# Nothing else.\n"),
    "a constant in the use case": _edited("case.py", "LIMIT = 4\n"),
    "a helper module of the use case": _edited("helper.py", "FACTOR = 3\n"),
    "an upgrade of Daystone without a raised `RESULT`": lambda planted: planted.upgrade(daystone="9.0"),
    "an upgrade of Daystone with a raised `RESULT` of the features": lambda planted: planted.patch.setattr(
        tasks.FeatureEngineering, "RESULT", tasks.FeatureEngineering.RESULT + 1
    ),
    "an upgrade of Python": lambda planted: planted.upgrade(python="3.13.0"),
    "a bugfix release of a library": lambda planted: planted.upgrade(pyspark="4.1.9", numpy="4.1.9"),
    "a feature release of PySpark": lambda planted: planted.upgrade(pyspark="4.2.0"),
    "a feature release of scikit-learn": lambda planted: planted.upgrade(**{"scikit-learn": "4.2.0"}),
    "a feature release of ONNX Runtime": lambda planted: planted.upgrade(onnxruntime="4.2.0"),
    "features are built again and come out equal": lambda planted: planted.rebuild(tasks.FeatureEngineering, LAST),
    "features are built again and come out otherwise": Planted.rebuild_features_otherwise,
    "features are built again, and their manifests have no digest": _without_digests,
    "a training set is built again and comes out otherwise": _set_rebuilt_otherwise,
    "a model is trained again": lambda planted: planted.rebuild(tasks.Training, date(2026, 1, 12)),
    "a selection is made again and picks another model": _another_model,
    "published features are removed": lambda planted: planted.lake.delete("features", LANDED_AGAIN),
    "all manifests are of a Daystone that recorded less": _recorded_less,
}


def test_the_table_has_every_change() -> None:
    assert list(_table()) == list(CHANGES)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_stale_what_the_table_says_and_for_that_reason(planted: Planted, change: str) -> None:
    CHANGES[change](planted)

    found = {dataset: {reason.kind for reason in reasons} for (dataset, _), reasons in stale(planted.states()).items()}

    datasets, reason = _table()[change]
    assert found == {dataset: {reason} for dataset in datasets}


def test_the_lists_of_states_and_reasons_are_those_of_the_page() -> None:
    _, states, reasons, _ = re.split(r"^## .*$", PAGE.read_text(), maxsplit=3, flags=re.MULTILINE)

    kinds = (InputChanged, SettingChanged, CodeChanged, LibraryChanged)
    assert re.findall(r"^\| `(\w+)` \|", states, re.MULTILINE) == [state.value for state in State]
    assert re.findall(r"^\| `(\w+)` \|", reasons, re.MULTILINE) == [kind.kind for kind in kinds]


def test_a_raw_day_that_is_landed_again_marks_exactly_the_days_that_were_built_from_it(planted: Planted) -> None:
    planted.write("events", date(2026, 1, 9), b"other")

    found = stale(planted.states())

    built = planted.lake.published("features")
    assert [day for _, day in found] == [day for day in built if day >= date(2026, 1, 9)]
    (reason,) = found["features", LAST]
    assert isinstance(reason, InputChanged)
    assert (str(reason.day), reason.differs) == ("raw/events of 2026-01-09", None)
    assert reason.then != reason.now


def test_features_that_came_out_otherwise_mark_the_sets_of_their_windows_and_say_both_runs(planted: Planted) -> None:
    before = planted.lake.published("features")
    planted.rebuild_features_otherwise()

    found = stale(planted.states())

    now = planted.lake.published("features")
    assert list(found) == [("balanced", date(2026, 1, 12)), ("predictions", LAST)]
    (reason,) = found["predictions", LAST]
    assert isinstance(reason, InputChanged)
    assert (str(reason.day), reason.then, reason.now, reason.differs) == (
        "features of 2026-01-20", before[LAST], now[LAST], True,
    )  # fmt: skip


def stale(states: States) -> dict[tuple[str, date], tuple[Reason, ...]]:
    """The reasons of each stale partition, in the order of the chain."""
    return {
        (dataset, day): cell.reasons
        for dataset in DATASETS
        for day in days(date(2025, 12, 31), LAST)
        if (cell := states.cell(dataset, day)) is not None and cell.state is State.STALE
    }


def _table() -> dict[str, tuple[list[str], str]]:
    """What docs/staleness.md says of each change: the datasets, and the reason."""
    _, _, text = PAGE.read_text().partition("\n| change | ")
    rows = [line.strip("| ").split("|") for line in text.splitlines()[2:] if line.startswith("|")]
    found = {}
    for change, *said in rows:
        datasets, reason = (*said, "", "")[:2]
        found[change.strip()] = (re.findall(r"`(\w+)`", datasets), reason.strip().strip("`"))
    return found
