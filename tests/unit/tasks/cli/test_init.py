"""``init``: the first text of a use case, in the working directory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from spark_lib.errors import BadData, ConfigurationError
from spark_lib.use_case import UseCase, load
from tasks.cli import init
from tasks.cli.main import main
from tests.support.patience import PATIENCE

CSV = """id,customer_id,applied_on,amount,city,zip code,note,churned
1,C1,2026-02-01,1.5,Rome,00123,a,0
2,C2,2026-02-02,,Oslo,00124,b,0
3,C1,2026-02-02,2,Oslo,00124,c,1
4,C3,2026-02-03,2,Oslo,00124,d,0
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def drafted(name: str, columns: dict[str, Any] | str | None) -> UseCase:
    """What is loaded of the module that was written; each test has a module of its own, as Python imports it once."""
    table = None
    if isinstance(columns, str):
        table = "loans.csv"
        Path(table).write_text(columns)
    elif columns is not None:
        table = "loans.parquet"
        pq.write_table(pa.table(columns), table)
    init.write(f"drafts.{name}:Churn", table)
    return load(f"drafts.{name}:Churn")


def roles(case: UseCase) -> tuple[Any, ...]:
    return case.key, case.entity, case.event_time, case.label.feed, case.label.column


def of_ruff(*arguments: str) -> Sequence[object]:
    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "drafts"], capture_output=True, text=True, timeout=PATIENCE
    )
    return ruff.returncode, ruff.stdout


def check_style() -> None:
    """By the defaults of ruff, whatever those of the checkout are."""
    assert of_ruff("check", "--isolated") == (0, "All checks passed!\n")
    assert of_ruff("format", "--isolated", "--check", "--line-length", "120") == (0, "1 file already formatted\n")


def test_a_use_case_from_nothing_loads_and_has_a_placeholder_for_its_outcome() -> None:
    case = drafted("of_nothing", None)

    assert roles(case) == ("row_id", "customer_id", "event_time", "outcomes", "outcome")
    assert list(case.features) == ["amount"]
    text = Path("drafts/of_nothing.py").read_text()
    assert "# TODO: say where outcomes land" in text
    check_style()


def test_a_use_case_from_csv_has_its_columns_and_a_proposal_for_each_role() -> None:
    case = drafted("of_csv", CSV)

    assert roles(case) == ("id", "customer_id", "applied_on", "loans", "churned")
    assert (case.label.outcomes, getattr(case.label, "positive")) == ((1, 0), 1)  # noqa: B009 - of one kind of label
    assert {name: (feature.type, feature.fill) for name, feature in case.features.items()} == {
        "amount": ("DOUBLE", 0.0),
        "city": ("STRING", None),
        "zip code": ("STRING", None),
    }
    assert " ".join(case.feeds["loans"].schema.split()) == (
        "id BIGINT, customer_id STRING, applied_on DATE, amount DOUBLE, city STRING, `zip code` STRING, note STRING, "
        "churned BIGINT"
    )
    assert "No feature yet: note." in Path("drafts/of_csv.py").read_text()
    assert Path("luigi.cfg").read_text().splitlines()[2:] == [
        "[pipeline]",
        "use_case = drafts.of_csv:Churn",
        "# The first day that has landed.",
        "first_date = 2026-02-01",
        "",
        "[lake]",
        "root = lake",
        "",
        "[training]",
        "# The outcome is known when its row lands.",
        "label_delay_days = 0",
    ]
    check_style()


def test_a_use_case_from_parquet_has_its_types() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

    case = drafted(
        "of_parquet",
        {
            "loan": ["a", "b", "c"],
            "seen": pa.array([noon] * 3, pa.timestamp("ns", tz="UTC")),
            "days": pa.array([1, 2, 2], pa.int16()),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
            "parts": [[1], [2], [3]],
            "repaid": [True, False, True],
        },
    )

    assert roles(case) == ("loan", None, "seen", "loans", "repaid")
    assert case.label.outcomes == ("false", "true")
    assert {name: feature.type for name, feature in case.features.items()} == {"days": "SMALLINT", "kind": "STRING"}
    text = Path("drafts/of_parquet.py").read_text()
    assert "# Left out of loans: parts, of the type list<element: int64>." in text
    assert "first_date = 2026-03-01" in Path("luigi.cfg").read_text()
    check_style()


def test_a_table_without_key_time_or_numbers_gets_placeholders_and_names_that_are_not_taken() -> None:
    case = drafted(
        "of_little", {"label": ["x", "x"], "_odd": [1, 1], "back`tick": [1, 1], 'quo"te': [1, 1], "LABEL": [1, 2]}
    )

    assert roles(case) == ("row_id", None, None, "outcomes", "outcome")
    assert list(case.features) == ["day_of_week"]
    text = Path("drafts/of_little.py").read_text()
    assert "# TODO: loans.parquet has no column for row_id. Let one land." in text
    assert "# Left out of loans: LABEL, as another column has this name." in text
    check_style()


def test_columns_of_parquet_that_are_texts_by_another_name_or_have_no_value_are_strings() -> None:
    case = drafted(
        "of_other_texts",
        {
            "id": [1, 2, 3],
            "city": pa.array(["a", "b", "a"], pa.large_string()),
            "note": pa.nulls(3),
            "landed": [1, 2, 3],
        },
    )

    assert " ".join(case.feeds["loans"].schema.split()) == "id BIGINT, city STRING, note STRING"
    assert list(case.features) == ["city"]
    text = Path("drafts/of_other_texts.py").read_text()
    assert "# Left out of loans: landed, as Daystone has a column of this name." in text
    check_style()


def test_a_table_without_dates_has_the_landing_day_as_its_time_and_a_label_whose_name_has_dots() -> None:
    case = drafted("of_clients", {"ID": [1, 2, 3], "AGE": [20, 30, 30], "default.next.month": [0, 1, 0]})

    assert roles(case) == ("ID", None, None, "loans", "default.next.month")
    assert " ".join(case.feeds["loans"].schema.split()) == "ID BIGINT, AGE BIGINT, `default.next.month` BIGINT"
    assert list(case.features) == ["AGE"]
    assert Path("luigi.cfg").read_text().endswith("label_delay_days = 0\n")
    check_style()


@pytest.mark.parametrize("there", ["my_company/churn.py", "luigi.cfg"])
def test_a_file_that_is_there_is_never_overwritten(here: Path, there: str) -> None:
    (here / there).parent.mkdir(exist_ok=True)
    (here / there).write_text("mine")

    result = CliRunner().invoke(main, ["init", "my_company.churn:Churn"])

    assert result.exit_code == 31
    assert result.stderr.splitlines()[-1] == (
        f"Error: init my_company.churn:Churn: wanted no file {there} in the working directory; found one, which is never "
        "overwritten. Next: give another name, move the file, or call this in another directory"
    )
    assert [file.read_text() for file in here.rglob("*") if file.is_file()] == ["mine"]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("churn", "'churn'"),
        ("my-company.churn:Churn", "'my-company.churn:Churn'"),
        ("my_company.class:Churn", "'my_company.class:Churn'"),
        ("tasks.churn:Churn", "'tasks.churn:Churn' (a name of Daystone's own)"),
    ],
)
def test_a_name_that_python_cannot_import_is_refused(reference: str, found: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        init.write(reference, None)

    assert str(caught.value) == (
        "init: wanted module:Class as Python writes it, such as my_company.churn:Churn; "
        f"found {found}. Next: give your own module and class"
    )


def test_a_place_that_cannot_be_written_is_named(here: Path) -> None:
    (here / "my_company").write_text("a file")

    with pytest.raises(ConfigurationError) as caught:
        init.write("my_company.churn:Churn", None)

    assert str(caught.value) == (
        "init my_company.churn:Churn: wanted a place where my_company/churn.py can be written; found File exists. "
        "Next: call this in a directory that this user can write to"
    )


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        (
            "loans.xlsx",
            "",
            "table loans.xlsx: wanted a name that ends with .csv, .csv.gz, .parquet, by which its format is known; "
            "found 'loans.xlsx'. Next: rename the file",
        ),
        (
            "loans.csv",
            "",
            "table loans.csv: wanted a CSV file with a header; found Empty CSV file. Next: give another file",
        ),
        (
            "loans.parquet",
            "no Parquet",
            "table loans.parquet: wanted a Parquet file; found Parquet magic bytes not found in footer. Either the file "
            "is corrupted or this is not a parquet file. Next: give another file",
        ),
        (
            "blank.csv",
            '""\n1\n',
            "table blank.csv: wanted a column that a feed can have; found none. Next: give another file",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_and_nothing_is_written(
    here: Path, name: str, content: str, error: str
) -> None:
    Path(name).write_text(content)

    with pytest.raises((BadData, ConfigurationError)) as caught:
        init.write("my_company.churn:Churn", name)

    assert str(caught.value) == error
    assert [file.name for file in here.iterdir()] == [name]


def test_the_help_shows_an_example() -> None:
    assert "daystone init my_company.churn:Churn --from" in CliRunner().invoke(main, ["init", "--help"]).stdout


def test_the_verb_says_what_was_written_and_what_comes_next(here: Path) -> None:
    (here / "loans.csv").write_text(CSV)

    result = CliRunner().invoke(main, ["init", "my_company.verb:Churn", "--from", "loans.csv"])

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "written: my_company/verb.py",
        "written: luigi.cfg",
        "next, once its TODOs are done:",
        "  PYTHONPATH=. daystone land loans.csv --feed loans --by applied_on",
        "  PYTHONPATH=. daystone check my_company.verb:Churn",
    ]
    without_dates = CSV.replace(",applied_on,", ",applied,").replace(",2026-02-0", ",")
    (here / "undated.csv").write_text(without_dates)
    (here / "luigi.cfg").rename(here / "first.cfg")
    undated = CliRunner().invoke(main, ["init", "my_company.other:Churn", "--from", "undated.csv"])
    assert undated.stdout.splitlines()[3] == (
        "  PYTHONPATH=. daystone land undated.csv --feed undated --spread FROM..TO --seed 0"
    )
    (here / "first.cfg").rename(here / "luigi.cfg")
    assert date.fromisoformat("2026-02-01").isoformat() in (here / "luigi.cfg").read_text()
