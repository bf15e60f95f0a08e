"""A published file that is deleted, truncated or altered: named, never silently done, and mended as the message says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from spark_lib.lake import Lake, is_s3
from tests.faults.jobs import DAY, LUIGI_CASE, UNKNOWN, luigi
from tests.faults.matrix import Case
from tests.faults.world import World, damage_of

STAGES = {"seeds": "Seeds", "sums": "Sums", "report": "Report"}


def deleted(world: World, key: str, body: bytes) -> str:
    world.outsider.delete(key)
    return "no file"


def truncated(world: World, key: str, body: bytes) -> str:
    world.outsider.write(key, body[: len(body) // 2])
    return f"{len(body) // 2} bytes"


def altered(world: World, key: str, body: bytes) -> str:
    """Of another size in a directory, where only a checksum would see it else; on S3 the listing brings another etag."""
    other = body[:-1] + bytes([body[-1] ^ 1])
    world.outsider.write(key, other if is_s3(world.root) else other + b"\0")
    return "" if is_s3(world.root) else f"{len(body) + 1} bytes"


def cases() -> Iterator[Case]:
    for store in ("local", "s3"):
        for deed in (deleted, truncated, altered):
            for dataset in STAGES:
                name = f"{deed.__name__}-{dataset}-{store}"
                yield Case(name, f"published file {deed.__name__}", store, of_a_file(deed, dataset))
        yield Case(f"truncated-manifest-{store}", "manifest truncated", store, of_a_manifest)


def of_a_file(deed: Callable[[World, str, bytes], str], dataset: str) -> Callable[[World, Random], None]:
    def strike(world: World, draw: Random) -> None:
        world.finish(world.start(luigi()))
        (partition,) = Lake(world.root, LUIGI_CASE).require(dataset, DAY)
        key = f"{partition.prefix}/{draw.choice(partition.manifest.files).path}"
        with partition.store.open(key) as opened:
            body = opened.read()
        with world.reader.paused(damaged=(LUIGI_CASE, dataset, DAY)):
            found = deed(world, key, body)
        _named_then_mended(world, draw, dataset, partition.store.url(key), found)

    return strike


def of_a_manifest(world: World, draw: Random) -> None:
    world.finish(world.start(luigi()))
    dataset = draw.choice(list(STAGES))
    lake = Lake(world.root, LUIGI_CASE)
    key = f"{lake.prefix(dataset, DAY)}/_SUCCESS"
    content = lake.store.read(key)
    assert content is not None
    with world.reader.paused(damaged=(LUIGI_CASE, dataset, DAY)):
        world.outsider.write(key, content[0][: draw.randrange(len(content[0]))])
    _named_then_mended(world, draw, dataset, lake.store.url(key), "")


def _named_then_mended(world: World, draw: Random, dataset: str, url: str, found: str) -> None:
    """The stage's own run names the file and what was found, also where a later stage asks for it."""
    key = (LUIGI_CASE, dataset, DAY)
    error = damage_of(world, key)
    if error is None or url not in str(error) or found not in error.found:
        world.violations.append(f"{url} was damaged ({found}), and the lake says {error}")
    world.finish(world.start(luigi(STAGES[dataset])), {UNKNOWN}, said=str(error))
    asks = {"seeds": "sums", "sums": "report"}.get(dataset)
    if asks and draw.random() < 0.5:
        _remove_manifest(world, asks)
        world.finish(world.start(luigi(STAGES[asks])), {UNKNOWN}, said=str(error))
        _remove_manifest(world, dataset)  # as the message says
        world.finish(world.start(luigi(STAGES[asks])))
    else:
        _remove_manifest(world, dataset)
        world.finish(world.start(luigi(STAGES[dataset])))


def _remove_manifest(world: World, dataset: str) -> None:
    with world.reader.paused(removed=(LUIGI_CASE, dataset, DAY)):
        world.outsider.delete(f"{Lake(world.root, LUIGI_CASE).prefix(dataset, DAY)}/_SUCCESS")
