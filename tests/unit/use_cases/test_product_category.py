"""product_category: its declarations, its pipeline on real texts, and its sample data."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.frames import delimited
from spark_lib.use_case import ddl, load
from spark_lib.use_cases.product_category import CATEGORIES, ProductCategory, sample
from tasks.config.settings import Settings
from tests.support.shared_data import shared_data
from tests.support.splitting import by_hand

FIRST = date(2026, 1, 1)
SETTINGS: Mapping[str, Any] = {"trees": 20, "depth": 5, "seed": 0}
SALTS = ("product_category", "a", "b", "c", "d")


def fitted(rows: pd.DataFrame) -> Any:
    """The use case's own estimator, on the table that the chain would give it."""
    return ProductCategory().estimator(SETTINGS).fit(as_features(rows), rows["categoria"])


def as_features(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"titulo": rows["nome"], "descricao": rows["descricao"].fillna("")})


def write(root: Path, days: int = 2, rows_per_day: int = 100, seed: int = 0, first: date = FIRST) -> Path:
    sample.write(lambda feed, day: root / "raw" / feed / f"date={day}", root / "truth", first, days, rows_per_day, seed)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rows(root: Path) -> pd.DataFrame:
    """The products of all days, as any reader of CSV finds them."""
    days = [pd.read_csv(path, sep=";", encoding="utf-8") for path in sorted((root / "raw").rglob("part-*.csv"))]
    return pd.concat(days, ignore_index=True)


# -- declarations


def test_the_use_case_is_found_by_its_name_and_learns_from_the_rows_themselves() -> None:
    case = load("product_category")

    assert isinstance(case, ProductCategory)
    assert (case.key, case.entity, case.label_lands_with_rows) == ("id_produto", "nome", True)
    assert case.label.outcomes == CATEGORIES


def test_loading_the_use_case_imports_neither_spark_nor_scikit_learn() -> None:
    code = (
        "import sys; from spark_lib.use_case import load; load('product_category'); "
        "sys.exit(bool({'pyspark', 'sklearn'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- the pipeline


@pytest.mark.slow
def test_at_least_98_of_100_real_products_get_their_category_in_the_mean_of_five_splits() -> None:
    products = pd.read_csv(shared_data("produtos") / "produtos.csv.gz", sep=";", encoding="utf-8")
    assert (len(products), products["descricao"].isna().sum()) == (4080, 1164)
    found = []

    for salt in SALTS:
        side = products["nome"].map(lambda name, salt=salt: by_hand(salt, name))
        training, validation = products[side < 0.7], products[side >= 0.8]
        predicted = fitted(training).predict(as_features(validation))
        found.append(np.mean(predicted == validation["categoria"]))

    assert np.mean(found) >= 0.98, found


TEXTS = pd.DataFrame(
    [
        ("Máscara de Cílios", "pele e olhar", "maquiagem"),
        ("Batom", None, "maquiagem"),
        ("Romance", "edição revista", "livro"),
        ("Boneca", "para crianças", "brinquedo"),
    ],
    columns=["nome", "descricao", "categoria"],
)


def test_case_and_accents_do_not_change_what_is_predicted() -> None:
    pipeline = fitted(TEXTS)
    same = pd.DataFrame({"nome": ["Máscara de Cílios", "MASCARA DE CILIOS", "ma\u0301scara de cílios"]})

    found = pipeline.predict_proba(as_features(same.assign(descricao=["Edição", "EDICAO", "edic\u0327a\u0303o"])))

    assert (found == found[0]).all()
    assert found.max() > 0.3


@pytest.mark.parametrize("nothing", [None, "", " ", "-", "\n a \n"])
def test_a_training_set_without_any_word_in_its_descriptions_is_fitted_all_the_same(nothing: str | None) -> None:
    pipeline = fitted(TEXTS.assign(descricao=nothing))

    assert pipeline.predict(as_features(TEXTS)).tolist() == TEXTS["categoria"].tolist()


def test_a_text_whose_words_were_never_seen_gets_probabilities() -> None:
    strange = pd.DataFrame({"nome": ["zzz", ""], "descricao": ["qqq", None]})

    found = fitted(TEXTS).predict_proba(as_features(strange))

    assert np.allclose(found.sum(axis=1), 1)


def test_the_pickle_needs_nothing_of_daystone() -> None:
    stored = io.BytesIO()
    joblib.dump(fitted(TEXTS), stored)

    pickled = stored.getvalue()

    assert b"sklearn" in pickled
    assert b"spark_lib" not in pickled


# -- sample data


def test_the_same_arguments_give_the_same_days_and_another_seed_others(tmp_path: Path) -> None:
    once, again = contents(write(tmp_path / "once")), contents(write(tmp_path / "again"))
    other = contents(write(tmp_path / "other", seed=1))

    assert once == again
    assert once.keys() == other.keys()
    assert rows(tmp_path / "once")["nome"].tolist() != rows(tmp_path / "other")["nome"].tolist()


def test_more_days_extend_a_sample_and_a_day_does_not_depend_on_the_first_one(tmp_path: Path) -> None:
    short = contents(write(tmp_path / "short", days=1))
    extended, late = contents(write(tmp_path / "short", days=2)), write(tmp_path / "late", 1, first=date(2026, 1, 2))

    assert {name: extended[name] for name in short} == short
    day = "raw/products/date=2026-01-02/part-00000.csv"
    assert contents(late)[day] == extended[day]


def test_the_parts_of_a_day_are_the_rows_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows(write(tmp_path / "whole", days=1))
    monkeypatch.setattr(sample, "CHUNK", 30)

    parts = rows(write(tmp_path / "parts", days=1))

    assert len(list((tmp_path / "parts" / "raw").rglob("part-*.csv"))) == 4
    pd.testing.assert_frame_equal(parts, whole)


def test_the_sample_is_as_difficult_as_it_says(tmp_path: Path) -> None:
    root = write(tmp_path, days=2, rows_per_day=1_000)

    landed = rows(root)
    truth = pa.concat_tables(map(pq.read_table, sorted((root / "truth").rglob("*.parquet")))).to_pandas()

    assert landed.columns.tolist() == list(sample.COLUMNS)
    assert landed["id_produto"].is_unique
    assert landed["id_produto"].tolist() == truth["id_produto"].tolist()
    assert set(truth["categoria"]) == set(CATEGORIES)
    assert landed["nome"].notna().all()
    assert 0.2 < landed["descricao"].isna().mean() < 0.3
    assert 0.02 < landed["categoria"].isna().mean() < 0.04
    wrong = landed["categoria"].notna() & (landed["categoria"] != truth["categoria"])
    assert 0 < wrong.mean() < 0.02
    for sign in ('"', "\n", ";", "ç", "á"):
        assert landed["descricao"].str.contains(sign, regex=False).any(), sign
    assert landed["nome"].str.contains('"', regex=False).any()
    assert landed["nome"].duplicated().any()
    assert landed["nome"].str.isupper().any()


def test_the_chain_reads_the_sample_back_sign_by_sign(tmp_path: Path) -> None:
    root = write(tmp_path, days=1, rows_per_day=300)
    feed = Settings("product_category", ProductCategory()).feed(str(tmp_path), "products")
    columns = {column.name: column.kind for column in ddl.columns(ProductCategory.feeds["products"].schema)}

    batches = delimited.read(feed, str(root / "raw/products/date=2026-01-01/part-00000.csv"), columns, FIRST)

    assert pa.Table.from_batches(batches).select(sample.COLUMNS).to_pylist() == [
        dict(
            zip(sample.COLUMNS, (row.id, row.name, row.description, row.category, row.day), strict=True),
        )
        for row in sample.products(0, FIRST, 300, range(300))
    ]


def test_a_day_without_products_has_its_flag_alone(tmp_path: Path) -> None:
    root = write(tmp_path, days=1, rows_per_day=0)

    assert [path.name for path in (root / "raw").rglob("*") if path.is_file()] == ["_SUCCESS"]


def test_another_sample_is_not_written_over_the_first(tmp_path: Path) -> None:
    before = contents(write(tmp_path))

    with pytest.raises(ConfigurationError, match=str(tmp_path / "truth")):
        write(tmp_path, seed=1)

    assert contents(tmp_path) == before
