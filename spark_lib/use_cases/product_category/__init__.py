"""Product category: which of four categories is a product in, by its name and its description?

One feed lands: ``products``, as CSV with semicolons. Its column ``categoria`` is the outcome, where it is known. The
texts are Portuguese, and so are the names of the columns. Importing this module imports neither pyspark nor
scikit-learn, because planning needs only the declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spark_lib.use_case import ClassLabel, Feature, Feed, UseCase

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CATEGORIES = ("brinquedo", "game", "livro", "maquiagem")

#: Words of two letters or more. A text without any has one word, the empty one: so a missing description is something
#: that the model learns from, and a training set without a single description has a vocabulary all the same.
WORDS = r"(?s)\b\w\w+\b|\A(?!.*\b\w\w)"
#: The greatest number of words of a column that the model knows, the most frequent ones.
MOST_WORDS = 50_000


class ProductCategory(UseCase):
    """The likeliest ``categoria`` of a product and its probability, from the words of its name and description.

    The entity is the name: a shop lists a product again and again, and no name is on two sides of the split. An entity
    is no feature, so the model gets the name as ``titulo``.
    """

    feeds = {
        "products": Feed(
            "id_produto STRING, nome STRING, descricao STRING, categoria STRING, cadastro DATE", key="id_produto"
        )
    }
    rows = "products"
    entity = "nome"
    event_time = "cadastro"
    label = ClassLabel(feed="products", key="id_produto", column="categoria", classes=CATEGORIES)
    features = {
        "titulo": Feature("STRING", fill="", text=True),
        "descricao": Feature("STRING", fill="", text=True),
    }
    settings = {
        "pipeline.first_date": "2026-01-01",
        "training.cadence": "weekly",
        "training.window_days": 60,
        "training.label_delay_days": 0,
        "training.min_accuracy": 0.9,
        "raw.products.format": "csv",
        "raw.products.separator": ";",
        "raw.products.encoding": "utf-8",
    }

    def engineer(self, day: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """One row for each product of ``day``: ``id_produto``, its name as ``titulo``, and ``descricao``."""
        from pyspark.sql import functions as F

        return day.select("id_produto", F.col("nome").alias("titulo"), "descricao")

    def engineer_days(self, days: DataFrame, history: Mapping[str, DataFrame]) -> DataFrame:
        """The same for products of many days."""
        from pyspark.sql import functions as F

        return days.select("landed", "id_produto", F.col("nome").alias("titulo"), "descricao")

    def estimator(self, settings: Mapping[str, Any]) -> Any:
        """A logistic regression on the words of each text, weighted by TF-IDF.

        Its steps take the texts as they land: they write all letters small and leave the accents out, since sellers
        write ``MÁSCARA``, ``Máscara`` and ``mascara`` alike. As this is a part of the pickled pipeline, training and
        scoring cannot differ in it. All its parts are scikit-learn's, so that no later version of this module changes
        what an older model says.
        """
        from sklearn.compose import make_column_transformer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        def words() -> Any:
            return TfidfVectorizer(
                lowercase=True,
                strip_accents="unicode",
                token_pattern=WORDS,
                sublinear_tf=True,
                max_features=MOST_WORDS,
            )

        return make_pipeline(
            make_column_transformer(*((words(), text) for text in self.features)),
            LogisticRegression(C=10.0, solver="newton-cg"),
        )
