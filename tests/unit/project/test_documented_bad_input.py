"""docs/operations.md, "Bad input": each row of the table is tried, and ends with the words and the code that stand there."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import joblib
import pyarrow as pa
import pytest
import sklearn
from sklearn.preprocessing import StandardScaler

from spark_lib.errors import BadData, DaystoneError, NoApprovedModel
from spark_lib.frames import delimited
from spark_lib.lake import Attempt, Documents, Lake, RawFeed
from spark_lib.models import matrix, python_model
from spark_lib.models.model import digest
from spark_lib.models.training_set import SIDES, TrainingSet
from spark_lib.problems import gates
from spark_lib.problems.multiclass import Multiclass
from spark_lib.problems.regression import Regression
from spark_lib.stages import cleaning
from spark_lib.use_case import Feature, Feed
from tests.support.checkout import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Bad input")[2].partition("\n## ")[0]
ROWS = [
    row for row in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", SECTION, re.MULTILINE) if row[0] != "what came in"
]
#: Names of settings, files and figures, which no message has.
NAMES = ("[raw.<feed>] min_rows", "max_quarantined", "duplicates", "daystone land", '""', "fill", "unseen_categories")
DAY = date(2026, 1, 1)
COLUMNS = {"order_id": "string", "amount": "decimal(10,2)", "items": "int"}
HEADER, ROW = "order_id,amount,items\n", "o1,1.00,1\n"
ORDERS = Feed("order_id STRING, amount DECIMAL(10,2)", "order_id", rules={"amount is positive": "amount > 0"})
COURSES = Multiclass(("main", "starter"))

Tried = list[DaystoneError | str]


def read(directory: Path, *contents: str | bytes) -> Iterator[list[dict[str, Any]] | DaystoneError]:
    """The rows of a CSV file with each of these contents, or its refusal."""
    feed = RawFeed("orders", str(directory), "shop", format="csv")
    for content in contents:
        file = directory / "orders.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            found = list(delimited.read(feed, str(file), COLUMNS, DAY))
        except DaystoneError as error:
            yield error
        else:
            yield [row for batch in found for row in batch.drop_columns("landed").to_pylist()]


def refused(directory: Path, *contents: str | bytes) -> Tried:
    return [found for found in read(directory, *contents) if isinstance(found, DaystoneError)]


def same_rows(directory: Path, *contents: str) -> Tried:
    """No refusal, where each of these contents has the row that a plain file has."""
    (plain,) = read(directory, HEADER + ROW)
    assert list(read(directory, *contents)) == [plain] * len(contents)
    return []


def without_rows(directory: Path) -> Tried:
    assert list(read(directory, HEADER, HEADER.strip())) == [[], []]
    return []


def a_text_that_does_not_fit(directory: Path) -> Tried:
    """What is read of it; tests/spark/stages/test_cleaning.py has what becomes of its row."""
    file = directory / "orders.csv"
    file.write_text(f"{HEADER}o1,1.00,many\n{ROW}")
    feed = RawFeed("orders", str(directory), "shop", format="csv")
    ((_, values, misfits),) = delimited.read_fitting(feed, str(file), COLUMNS)
    assert values["items"].to_pylist() == [None, 1]
    assert misfits.to_pylist()[1] is None
    return [misfits[0].as_py()]


def a_row_that_breaks_a_rule(directory: Path) -> Tried:
    """Its day is published with both sections; tests/spark/stages/test_cleaning.py has the rows."""
    counted = cleaning.Counted(10, broken=1, rules={"amount is positive": 1})
    assert (counted.clean, counted.quarantined) == (9, 1)
    assert counted.broken <= ORDERS.most_quarantined * counted.landed
    return []


def an_empty_text(directory: Path) -> Tried:
    assert list(read(directory, HEADER + '"",,\n')) == [[{"order_id": "", "amount": None, "items": None}]]
    kinds = Feature("STRING", categories=("", "soup"))
    assert matrix.from_arrow(pa.table({"kind": ["soup", "", None]}), {"kind": kinds}).tolist() == [[1], [0], [3]]
    return []


def an_unseen_category(directory: Path) -> Tried:
    kinds = Feature("STRING", categories=("soup", "stew"))
    found = matrix.by_column(pa.table({"kind": ["pie", "stew", "cake"]}), {"kind": kinds})
    assert (found.columns.tolist(), found.unseen) == ([[2, 1, 2]], {"kind": 2})
    return []


def a_null_without_a_fill(directory: Path) -> Tried:
    with pytest.raises(DaystoneError) as caught:
        matrix.from_arrow(pa.table({"x": pa.array([None], pa.float64())}), {"x": Feature("DOUBLE")})
    return [caught.value]


def an_outcome_that_is_not_allowed(directory: Path) -> Tried:
    """The words of the refusal that Spark's job raises: tests/spark/stages/test_problems.py has it whole."""
    return [BadData("", problem.wanted, "", problem.repair) for problem in (Regression(0, 365), COURSES)]


def a_class_without_rows(directory: Path) -> Tried:
    counts = TrainingSet({side: {"main": 200, "starter": 0} for side in SIDES}, balanced={"main": 200, "starter": 0})
    settings = {"max_unlabelled": 0.05, "min_labelled": 200, "calibration": "auto", "balancing": "none"}
    verdict = gates.on_labels(COURSES, counts, settings, SIDES, DAY)
    assert not verdict.approved
    return [f"{verdict.reason} {verdict.detail}", NoApprovedModel("", "", "", "")]


def other_bytes(directory: Path) -> Tried:
    lake = Lake(str(directory), "shop")
    with Attempt(lake, "model", [DAY], stage="Test") as attempt:
        attempt.commit(Documents({"model.joblib": b"as it was trained"}, {}))
    (partition,) = lake.require("model", DAY)
    (file,) = directory.glob("shop/model/*/run=*/model.joblib")
    file.write_bytes(b"as it was trainee")
    with pytest.raises(DaystoneError) as caught:
        partition.document("model.joblib")
    return [caught.value]


def another_scikit_learn(directory: Path) -> Tried:
    stored = io.BytesIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sklearn.base, "__version__", "1.4.2")
        joblib.dump(StandardScaler().fit([[0.0], [1.0]]), stored)
    with pytest.raises(DaystoneError) as caught:
        python_model.load(stored.getvalue(), digest(stored.getvalue()))
    return [caught.value]


#: By the first column of the table: what is wrong, and what comes of it. Nothing is refused where the list is empty.
TRIED: dict[str, Callable[[Path], Tried]] = {
    "another separator than the declared one": lambda at: refused(at, (HEADER + ROW).replace(",", ";")),
    "a quote that is never closed, or stands inside a value": lambda at: refused(
        at, f'{HEADER}"o1,1.00,1\n', f'{HEADER}o"1,1.00,1\n'
    ),
    "bytes of Latin-1 in a file of UTF-8": lambda at: refused(at, f"{HEADER}Müller,1.00,1\n".encode("latin-1")),
    "a byte order mark": lambda at: same_rows(at, f"\ufeff{HEADER}{ROW}"),
    "a header without rows, or a flag without a file": without_rows,
    "further columns, or columns in another order": lambda at: same_rows(
        at, "order_id,amount,,items,Items of\no1,1.00,x,1,y\n", "items,amount,order_id\n1,1.00,o1\n"
    ),
    "a column is missing": lambda at: refused(at, "order_id,items\no1,1\n"),
    "a text that is no value of its type": lambda at: refused(at, f"{HEADER}o1,1.00,many\n"),
    "the same in a feed that declares rules ([cleaning.md](cleaning.md))": a_text_that_does_not_fit,
    "a row that breaks a rule of its feed, or has a null in its key": a_row_that_breaks_a_rule,
    "more rows that break rules than `max_quarantined`": lambda at: [
        cleaning.too_many_broken("", ORDERS, cleaning.Counted(4, 2, {"amount is positive": 2}), "amount > 0 is false")
    ],
    "a key that is there twice within a day": lambda at: [cleaning.repeated_key("", ORDERS, 1, "o1", 2)],
    "an empty text": an_empty_text,
    "a null in a feature without a `fill`": a_null_without_a_fill,
    "a category that training did not see": an_unseen_category,
    "an outcome that the label does not allow": an_outcome_that_is_not_allowed,
    "a class without a row in the training split": a_class_without_rows,
    "a model or a pickle whose bytes have changed": other_bytes,
    "a pickle of another scikit-learn": another_scikit_learn,
}


def test_every_row_of_the_table_is_tried() -> None:
    assert [came for came, _, _ in ROWS] == list(TRIED)


@pytest.mark.parametrize(("came", "happens", "codes"), ROWS)
def test_what_comes_in_ends_with_the_words_and_the_code_of_the_table(
    tmp_path: Path, came: str, happens: str, codes: str
) -> None:
    found = TRIED[came](tmp_path)

    assert {int(code) for code in codes.split(" or ")} - {0} == {
        error.exit_code for error in found if isinstance(error, DaystoneError)
    }
    said = "\n".join(map(str, found))
    for words in re.findall("`(.+?)`", happens):
        assert words in said or words in NAMES
