"""The examples are use cases that load, and that fit the tables they are written for."""

from __future__ import annotations

import gzip

import pytest

from spark_lib import use_case
from spark_lib.problems import of
from spark_lib.use_case import ddl
from tasks.cli.place import configured
from tests.support.checkout import ROOT
from tests.support.shared_data import shared_data
from tests.unit.stubs.stublake import configure


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))


def test_the_credit_cards_are_declared_as_the_table_has_them() -> None:
    case = use_case.load("credit_cards:CreditCards")
    table = shared_data("uci_credit_default") / "UCI_Credit_Card.csv.gz"

    with gzip.open(table, "rt") as file:
        header = file.readline().strip().split(",")

    declared = [column.name for column in ddl.columns(case.feeds["clients"].schema)]
    assert sorted(declared) == sorted(header)
    assert set(case.features) == set(header) - {"ID", case.label.column}
    assert (case.entity, case.event_time) == (None, None)
    assert of(case.label).names == ("positive", "negative")


@pytest.mark.parametrize("name", ["german_credit", "produtos", "repayment_days"])
def test_the_settings_beside_an_example_fit_its_use_case(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    configure(monkeypatch, (ROOT / "examples" / f"{name}.cfg").read_text())

    place = configured()

    assert place.use_case.partition(":")[0] in (name, "product_category")
    assert place.settings.training.cadence == "daily"
