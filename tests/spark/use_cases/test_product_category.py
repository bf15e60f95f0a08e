"""The features of product_category: the texts, sign by sign, as they landed in CSV."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from spark_lib.frames import raw
from spark_lib.lake import RawFeed
from spark_lib.lake.feeds.dialect import Dialect
from spark_lib.use_cases.product_category import ProductCategory, sample

DAY = date(2026, 1, 1)


def test_the_features_are_the_texts_as_they_landed_and_null_where_nothing_landed(
    spark: SparkSession, tmp_path: Path
) -> None:
    case = ProductCategory()
    feed = RawFeed("products", str(tmp_path), "product_category", format="csv", dialect=Dialect(separator=";"))
    sample.write(lambda _, day: feed.directory(day), tmp_path / "truth", DAY, 1, 200, seed=0)
    landed = raw.read(spark, feed.history(DAY, DAY), case.feeds["products"], without="categoria")

    made = case.engineer(landed.drop("landed"), {})

    assert dict(made.dtypes) == {"id_produto": "string", "titulo": "string", "descricao": "string"}
    assert sorted(map(tuple, made.collect())) == [
        (product.id, product.name, product.description) for product in sample.products(0, DAY, 200, range(200))
    ]
