"""The chain on a real luigid: what its page would show, and two use cases that never get into each other's way."""

from __future__ import annotations

import shutil
import socket
from datetime import date, timedelta
from pathlib import Path

import pytest

import spark_lib
from spark_lib.session.session import LOOPBACK
from tests.chain import visits
from tests.chain.chains import MONDAY, Chain
from tests.chain.observed import CASES, Observed


def test_two_use_cases_of_one_day_at_one_moment_are_both_built(observed: Observed) -> None:
    assert {name: result.code for name, result in observed.results.items()} == {"credit_risk": 0, "churn": 0}
    for chain in observed.chains.values():
        assert ("predictions", MONDAY) in chain.published()


def test_every_task_ends_as_done_at_a_hundred_percent(observed: Observed) -> None:
    assert {task["status"] for task in observed.tasks.values()} == {"DONE"}
    for case in CASES:
        for family in ("FeatureEngineering", "Balancing", "Training", "ModelSelection", "BatchInference"):
            assert observed.task(case, family)["progress_percentage"] == 100, (case, family)


def test_each_task_says_in_words_what_it_made(observed: Observed) -> None:
    (model,) = observed.chains["credit_risk"].lake.require("model", date.fromisoformat(MONDAY))
    figures = model.manifest.metrics
    training = f"training: {figures['training_rows']:,} rows, area under ROC {figures['area_under_roc']:.2f}"

    said = {
        family: observed.task("credit_risk", family)["status_message"]
        for family in ("FeatureEngineering", "Training", "ModelSelection", "BatchInference")
    }
    assert said == {
        "FeatureEngineering": "features: 500 rows",
        "Training": training,
        "ModelSelection": f"selection: model of {MONDAY}",
        "BatchInference": f"predictions: 500 rows by the model of {MONDAY}",
    }


def test_while_it_runs_a_task_says_what_it_is_at(observed: Observed) -> None:
    assert ("FeatureEngineering", "starting Spark") in observed.messages
    assert any(stage == "Training" and words.startswith("fitting ") for stage, words in observed.messages)


def test_the_graph_is_the_chain(observed: Observed) -> None:
    graph = observed.graphs["credit_risk"]
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
    assert not graph.keys() & observed.graphs["churn:Churn"].keys()


def test_the_tracking_url_of_a_running_task_is_sparks_own_page(observed: Observed) -> None:
    assert len(observed.tracked) == 2, "one a session"
    for url, content in observed.tracked.items():
        assert "Spark" in content, url
        assert "daystone" in content, url


def test_an_adopters_use_case_is_built_from_csv_feeds_that_land_where_its_owner_says(observed: Observed) -> None:
    chain = observed.chains["churn"]
    day = date.fromisoformat(MONDAY)

    features = spark_lib.read_pandas(chain.url, "churn:Churn", "features", day).set_index("visit").sort_index()
    predictions = spark_lib.read_pandas(chain.url, "churn:Churn", "predictions", day)

    landed = visits.of_day(day)
    assert features.index.tolist() == [visit for visit, *_ in landed]
    assert features["minutes"].tolist() == [minutes for *_, minutes in landed]
    earlier = {visit: 0 for visit, *_ in landed}
    known = [
        row
        for offset in range((day - visits.FIRST).days + 1)
        for row in visits.of_day(visits.FIRST + timedelta(days=offset))
    ]
    for visit, member, at, _ in landed:
        earlier[visit] = sum(who == member and then < at for _, who, then, _ in known)
    assert features["earlier_visits"].to_dict() == earlier
    assert sorted(predictions["visit"]) == features.index.tolist()
    assert predictions["score"].nunique() > 1


def test_without_a_word_about_it_no_scheduler_is_asked(on_disk: Chain, tmp_path: Path) -> None:
    """The embedded scheduler is the default, whatever url Luigi's own setting has."""
    shutil.copytree(on_disk.root, tmp_path / "lake")
    chain = Chain(tmp_path / "lake", tmp_path / "scratch")
    with socket.create_server((LOOPBACK, 0)) as scheduler:
        scheduler.setblocking(False)
        url = f"http://{LOOPBACK}:{scheduler.getsockname()[1]}"

        chain.succeeds("FeatureEngineering", "--date", MONDAY, config=f"[core]\ndefault-scheduler-url = {url}\n")

        with pytest.raises(BlockingIOError):
            scheduler.accept()
