"""Lakes that are nothing but manifests and landed days: what stands is written down, and nothing is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from random import Random

from spark_lib.lake import Input, Manifest, days
from tasks.graph.staleness import RAW, Candidates, Landed, Standing, Today

#: What the manifest of a selection says besides.
SELECTED = {"model_date": "2026-01-12", "model_digest": ""}
APPROVED, REJECTED = (
    SELECTED | {"verdict": {"approved": approved, "reason": "gate", "detail": "low"}} for approved in (True, False)
)


def manifest(run: str = "r1", inputs: Sequence[Input] = (), approved: bool = True, digest: str = "") -> Manifest:
    """A manifest that says no more than what it was built from, and a verdict."""
    return Manifest(run, "Test", (), inputs=tuple(inputs), metrics=APPROVED if approved else REJECTED, digest=digest)


def landed(first: date, last: date, without: Iterable[date] = (), newest: date | None = None) -> Landed:
    """A feed that has landed on ``[first, last]``, except for some days."""
    absent = set(without)
    ids = tuple("" if day in absent else f"id of {day}" for day in days(first, last))
    there = [day for day, found in zip(days(first, last), ids, strict=True) if found]
    return Landed(first, ids, newest or max(there, default=None))


def drawn(random: Random, stages: Sequence[Today], first: date, last: date) -> Standing:
    """What stands in a lake where anything may have happened."""
    spans = {f"{RAW}{feed}": (first, last) for feed in ("events", "outcomes")}
    raw = {name: _drawn_feed(random, *span) for name, span in spans.items()}
    published: dict[str, dict[date, Manifest | None]] = {}
    share = random.choice([0.5, 0.8, 1])
    for stage in stages:
        published[stage.dataset] = {}
        for day in days(first, last):
            if stage.is_due(day) and random.random() < share:
                inputs = _drawn_inputs(random, stage, day, published, raw)
                built = manifest(random.choice("abc"), inputs, random.random() < 0.6, random.choice(["", "x", "y"]))
                published[stage.dataset][day] = None if random.random() < 0.05 else built
    return Standing(published, raw)


def _drawn_feed(random: Random, first: date, last: date) -> Landed:
    share = random.choice([0, 0, 0.02, 0.1])
    end = random.choice([last, last, random.choice(days(first, last))])
    ids = [
        "" if day > end or random.random() < share else random.choice(["0a", "0a", "content:0a", "content:0b"])
        for day in days(first, last)
    ]
    there = [day for day, found in zip(days(first, last), ids, strict=True) if found]
    return Landed(first, tuple(ids), max(there, default=None))


def _drawn_inputs(
    random: Random,
    stage: Today,
    day: date,
    published: Mapping[str, Mapping[date, Manifest | None]],
    raw: Mapping[str, Landed],
) -> list[Input]:
    """What a day was built from: mostly what stands, sometimes something else, sometimes other days."""
    found = []
    for need in stage.needs(day):
        if isinstance(need, Candidates):
            spans = [(candidate, candidate) for candidate in need.days]
        else:
            begin = random.choice([need.first, need.first, min(need.last, need.first.replace(day=2))])
            spans = [(begin, need.last)]
        for begin, end in spans:
            ids, digests = [], []
            for each in days(begin, end):
                stands = published.get(need.name, {}).get(each)
                now = raw[need.name].of(each, each)[0] if need.name in raw else stands.run if stands else ""
                ids.append(now if now and random.random() < 0.9 else random.choice("abc"))
                digests.append(random.choice([stands.digest if stands else "", "", "x"]))
            recorded = tuple(digests) if need.name not in raw and random.random() < 0.8 else ()
            found.append(Input(need.name, begin, end, tuple(ids), recorded))
    return found
