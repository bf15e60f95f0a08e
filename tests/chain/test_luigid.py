"""The chain on a real luigid: what its page would show, and two use cases that never get into each other's way."""

from __future__ import annotations

import csv
import random
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

import spark_lib
from tests.chain.chains import Chain, ended, write_sample
from tests.chain.luigids import Luigid, running_luigid
from tests.processes import Result

MONDAY = "2026-01-26"
FIRST = date(2026, 1, 18)  # of the adopter's data
CASES = {"credit_risk": "credit_risk", "churn": "churn.Churn"}


@dataclass
class Watched:
    """Two runs of one day at one moment, and what luigid and Spark said while they ran."""

    chains: dict[str, Chain]
    results: dict[str, Result]
    tasks: dict[str, dict[str, Any]]
    graphs: dict[str, dict[str, dict[str, Any]]]
    #: (stage, message) pairs seen while it ran.
    messages: set[tuple[str, str]] = field(default_factory=set)
    #: Pages behind tracking URLs, fetched while their task ran.
    pages: dict[str, str] = field(default_factory=dict)

    def task(self, case: str, family: str, day: str = MONDAY) -> dict[str, Any]:
        use_case = "churn:Churn" if case == "churn" else case
        return only(
            task
            for task in self.tasks.values()
            if (task["name"], task["params"]["use_case"], task["params"]["date"]) == (family, use_case, day)
        )


@pytest.fixture(scope="module")
def luigid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Luigid]:
    with running_luigid(tmp_path_factory.mktemp("luigid")) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def watched(luigid: Luigid, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """credit_risk with the sample data and an adopter's use case with CSV feeds, started together."""
    home = tmp_path_factory.mktemp("watched")
    chains = {name: Chain(home / "lake", home / name, directory) for name, directory in CASES.items()}
    write_sample(home / "lake", days=26, rows_per_day=500)
    write_visits(home / "landing")
    own = {
        "credit_risk": "[training]\nwindow_days = 4\nmin_positives = 100\n",
        "churn": f"""
[pipeline]
use_case = churn:Churn
[raw]
format = csv
flag = landed.txt
[raw.visits]
path = {home}/landing/{{date:%%Y/%%m/%%d}}/visits
[raw.farewells]
path = {home}/landing/farewells-{{date:%%Y%%m%%d}}
""",
    }
    running = {
        name: chain.start("BatchInference", "--date", MONDAY, config=luigid.configuration() + own[name])
        for name, chain in chains.items()
    }
    seen = Watched(chains, {}, {}, {})
    with ended(*running.values()):
        while any(one.process.poll() is None for one in running.values()):
            look(luigid, seen)
            sleep(0.1)
        seen.results = {name: one.wait() for name, one in running.items()}
    seen.tasks = luigid.tasks()
    roots = {task["params"]["use_case"]: name for name, task in seen.tasks.items() if task["name"] == "BatchInference"}
    seen.graphs = {use_case: luigid.ask("dep_graph", task_id=root) for use_case, root in roots.items()}
    return seen


def test_two_use_cases_of_one_day_at_one_moment_are_both_built(watched: Watched) -> None:
    for name, result in watched.results.items():
        assert result.code == 0, f"{name}: exit {result.code}\n{result.stderr[-5_000:]}"
        assert ("predictions", MONDAY) in watched.chains[name].published()


def test_every_task_ends_as_done_at_a_hundred_percent(watched: Watched) -> None:
    assert {task["status"] for task in watched.tasks.values()} == {"DONE"}
    for case in CASES:
        for family in ("FeatureEngineering", "Balancing", "Training", "ModelSelection", "BatchInference"):
            assert watched.task(case, family)["progress_percentage"] == 100, (case, family)


def test_each_task_says_in_words_what_it_made(watched: Watched) -> None:
    (model,) = watched.chains["credit_risk"].lake.require("model", date.fromisoformat(MONDAY))
    figures = model.manifest.metrics
    training = f"training: {figures['training_rows']:,} rows, area under ROC {figures['area_under_roc']:.2f}"

    said = {
        family: watched.task("credit_risk", family)["status_message"]
        for family in ("FeatureEngineering", "Training", "ModelSelection", "BatchInference")
    }
    assert said == {
        "FeatureEngineering": "features: 500 rows",
        "Training": training,
        "ModelSelection": f"selection: model of {MONDAY}",
        "BatchInference": f"predictions: 500 rows by the model of {MONDAY}",
    }


def test_while_it_runs_a_task_says_what_it_is_at(watched: Watched) -> None:
    assert ("FeatureEngineering", "starting Spark") in watched.messages
    assert any(stage == "Training" and words.startswith("fitting ") for stage, words in watched.messages)


def test_the_graph_is_the_chain(watched: Watched) -> None:
    graph = watched.graphs["credit_risk"]
    families = {task_id: task["name"] for task_id, task in graph.items()}
    edges = {(families[task_id], families[dep]) for task_id, task in graph.items() for dep in task["deps"]}

    assert edges == {
        ("BatchInference", "FeatureEngineering"),
        ("BatchInference", "ModelSelection"),
        ("ModelSelection", "Training"),
        ("Training", "Balancing"),
        ("Balancing", "FeatureEngineering"),
        ("Balancing", "RawPartition"),
        ("FeatureEngineering", "RawPartition"),
    }
    assert not graph.keys() & watched.graphs["churn:Churn"].keys()


def test_the_tracking_url_of_a_running_task_is_sparks_own_page(watched: Watched) -> None:
    assert len(watched.pages) == 2, "one a session"
    for url, content in watched.pages.items():
        assert "Spark" in content, url
        assert "daystone" in content, url


def test_an_adopters_use_case_is_built_from_csv_feeds_that_land_where_its_owner_says(watched: Watched) -> None:
    chain = watched.chains["churn"]
    day = date.fromisoformat(MONDAY)

    features = spark_lib.read_pandas(str(chain.root), "churn:Churn", "features", day).set_index("visit").sort_index()
    predictions = spark_lib.read_pandas(str(chain.root), "churn:Churn", "predictions", day)

    landed = visits_of(day)
    assert features.index.tolist() == [visit for visit, *_ in landed]
    assert features["minutes"].tolist() == [minutes for *_, minutes in landed]
    earlier = {visit: 0 for visit, *_ in landed}
    known = [row for offset in range((day - FIRST).days + 1) for row in visits_of(FIRST + timedelta(days=offset))]
    for visit, member, at, _ in landed:
        earlier[visit] = sum(who == member and then < at for _, who, then, _ in known)
    assert features["earlier_visits"].to_dict() == earlier
    assert sorted(predictions["visit"]) == features.index.tolist()
    assert predictions["score"].nunique() > 1


def test_without_a_word_about_it_no_scheduler_is_asked(chain: Chain, luigid: Luigid) -> None:
    """The embedded scheduler is the default: a luigid that is not there is not missed."""
    before = luigid.tasks().keys()

    chain.succeeds(
        "FeatureEngineering", "--date", "2026-03-01", config="[core]\ndefault-scheduler-url = http://127.0.0.1:9\n"
    )

    assert luigid.tasks().keys() == before


def look(luigid: Luigid, seen: Watched) -> None:
    for task in luigid.tasks().values():
        if task["status"] == "RUNNING" and task["status_message"]:
            seen.messages.add((task["name"], task["status_message"]))
        url = task["tracking_url"]
        if task["status"] == "RUNNING" and url and url not in seen.pages:
            try:
                with urllib.request.urlopen(url, timeout=10) as page:  # noqa: S310  (of our own Spark)
                    seen.pages[url] = page.read().decode()
            except urllib.error.URLError:
                continue  # its run may have ended meanwhile


def visits_of(day: date) -> list[tuple[int, str, datetime, float]]:
    """The visits that land on a day: number, member, time, minutes."""
    draw = random.Random(day.toordinal())
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    number = day.toordinal() * 1000
    return [
        (
            number + n,
            f"member {draw.randrange(150)}",
            midnight + timedelta(minutes=17 * n),
            float(draw.randrange(5, 90)),
        )
        for n in range(80)
    ]


def write_visits(landing: Path) -> None:
    """Land visits, and two days later whether the member left, as CSV, each day's flag last."""
    for offset in range((date.fromisoformat(MONDAY) - FIRST).days + 1):
        day = FIRST + timedelta(days=offset)
        visits = landing / f"{day:%Y/%m/%d}" / "visits"
        # Columns are found by their names: another order, and one that nobody declared.
        rows = [
            (member, minutes, visit, f"{at:%Y-%m-%dT%H:%M:%SZ}", "?") for visit, member, at, minutes in visits_of(day)
        ]
        write_csv(visits, ("member", "minutes", "visit", "at", "remark"), rows)
        left = [(visit, "yes" if minutes < 30 else "no") for visit, *_, minutes in visits_of(day - timedelta(days=2))]
        write_csv(landing / f"farewells-{day:%Y%m%d}", ("visit", "left"), left if offset >= 2 else [])


def write_csv(directory: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    directory.mkdir(parents=True)
    with (directory / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    (directory / "landed.txt").touch()


def only(found: Iterator[dict[str, Any]]) -> dict[str, Any]:
    (one,) = found
    return one
