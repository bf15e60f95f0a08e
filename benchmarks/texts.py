"""Texts and a pipeline for them: TF-IDF of 20,000 words and word pairs, and a logistic regression behind it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.made import CASE, DAY, FILES, IDENTITY, card_of
from spark_lib.lake import Attempt, Lake, Rows
from spark_lib.models.card import Card, ModelFile
from spark_lib.models.model import digest
from spark_lib.use_case import Feature

WORDS = 30_000
LEAST_WORDS, MOST_WORDS = 3, 12
TERMS = 20_000
TRAINED_TEXTS = 20_000
_SCHEMA = (("id", "bigint"), ("at", "timestamp"), ("text", "string"))


@dataclass(frozen=True)
class TextModel:
    """A ``directory`` with the fitted pipeline, as joblib and as pickle wrote it."""

    directory: str

    @cached_property
    def content(self) -> bytes:
        return Path(self.directory, "model.joblib").read_bytes()

    @property
    def pickled(self) -> bytes:
        return Path(self.directory, "sklearn.pickle").read_bytes()

    @property
    def features(self) -> dict[str, Feature]:
        return {"text": Feature("STRING")}

    @property
    def card(self) -> Card:
        return card_of(self.features, ModelFile("model.joblib", digest(self.content), len(self.content)))


def fit(directory: str) -> TextModel:
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = written(np.random.default_rng(1), TRAINED_TEXTS)
    vectors = make_column_transformer((TfidfVectorizer(max_features=TERMS, ngram_range=(1, 2)), "text"))
    label = [len(text) % 2 for text in texts]
    fitted = make_pipeline(vectors, LogisticRegression()).fit(pd.DataFrame({"text": texts}), label)
    Path(directory).mkdir(parents=True)
    joblib.dump(fitted, Path(directory, "model.joblib"))
    Path(directory, "sklearn.pickle").write_bytes(pickle.dumps(fitted))
    return TextModel(directory)


def written(random: np.random.Generator, count: int) -> list[str]:
    """Texts of a few words each, of which a few are as frequent as in language (Zipf's law)."""
    lengths = random.integers(LEAST_WORDS, MOST_WORDS, count)
    words = np.minimum(random.zipf(1.3, lengths.sum()), WORDS)
    ends = np.cumsum(lengths)
    return [
        " ".join(f"w{word}x" for word in words[end - length : end]) for length, end in zip(lengths, ends, strict=True)
    ]


def land(root: str, rows: int, repeated: float = 0.0) -> str:
    """Publish a day of texts, and return the lake's root. The share ``repeated`` of the rows has the text of another
    row of its file.
    """
    kinds = pa.schema(IDENTITY | {"text": pa.string()})
    with Attempt(Lake(root, CASE), "features", [DAY], stage="Bench") as attempt:
        for number in range(FILES):
            random = np.random.default_rng(100 + number)
            first, stop = rows * number // FILES, rows * (number + 1) // FILES
            distinct = written(random, round((stop - first) * (1 - repeated)))
            texts = distinct + [
                distinct[place] for place in random.integers(0, len(distinct), stop - first - len(distinct))
            ]
            random.shuffle(texts)
            ids = np.arange(first, stop)
            at = pa.array(ids * 1_000_000, kinds.field("at").type)
            with attempt.lake.store.writing(f"{attempt.prefix(DAY)}/part-{number}.parquet") as opened:
                pq.write_table(pa.table({"id": ids, "at": at, "text": texts}, schema=kinds), opened)
        attempt.commit(Rows({"": rows}, _SCHEMA))
    return root
