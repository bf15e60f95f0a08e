"""What runs on executors. Functions go there by their names, so that this module has to be there, too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files

import pandas as pd


def in_kilos(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Crate, weight in kilograms, and the note in small letters."""
    kilos = json.loads((files(__package__) / "units.json").read_text())
    for batch in batches:
        parts = batch["weight"].str.split(" ", n=1, expand=True)
        weight = parts[0].astype(float) * parts[1].map(kilos)
        yield pd.DataFrame({"crate": batch["crate"], "kilos": weight, "note": batch["note"].str.lower()})


def words(text: str) -> list[str]:
    """The words of a note; a model's pickle names this function."""
    return text.replace(",", " ").split()
