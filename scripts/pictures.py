"""Makes the pictures of README.md: the chain, drawn from the stages of ``tasks``, and the report of a sample model.

    python -m scripts.pictures [--lake LAKE]        or: make pictures [LAKE=lake]

Writes docs/pictures/chain.svg and docs/pictures/report.png. The report is the one that LAKE holds, as ``make demo`` leaves it;
without LAKE a sample lake is built for it, which takes some minutes.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from datetime import date, timedelta
from html import escape
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import tasks
from tasks.config.sections import features, selection, training
from tasks.graph.stage import Dated, Stage
from tasks.planning.chain import CHAIN
from tests.support import browser

ROOT = Path(__file__).resolve().parent.parent
DRAWING, REPORT = ROOT / "docs" / "pictures" / "chain.svg", ROOT / "docs" / "pictures" / "report.png"
#: The first model of the sample data.
MODEL_DATE = "2026-02-23"
#: Width and height of the part of the report that is shown, in pixels: the verdict, the gates and the curves.
WINDOW = (1000, 1045)
COLOURS = 128

_BOX, _GAP, _HEIGHT, _MARGIN, _TOP, _BELOW = 142, 20, 66, 8, 66, 30
_ARC = 12  # an arrow above the boxes is so much higher for each box that it passes
#: How often a stage is due, by its number of days in four weeks.
_EVERY = {28: "every day", 4: "every week", 1: "every month", 0: "when asked for"}
_STYLE = """
  rect { fill: #f4f6f8; stroke: #5a6168; }
  rect.paper { fill: #ffffff; stroke: none; }
  rect.raw, rect.aside { stroke-dasharray: 5 3; }
  text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; fill: #5a6168; }
  text.name { font-weight: 600; fill: #1a1c1e; }
  text.data { font-family: ui-monospace, Menlo, Consolas, "Liberation Mono", monospace; }
  path.edge { fill: none; stroke: #1b5e9b; stroke-width: 1.5; marker-end: url(#head); }
  #head path { fill: #1b5e9b; }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", help=f"where the sample's model of {MODEL_DATE} is; built anew without it")
    given = parser.parse_args()
    DRAWING.parent.mkdir(exist_ok=True)
    DRAWING.write_text(chain(), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="daystone-pictures-") as directory:
        lake = given.lake or built(directory)
        page = Path(directory) / "report.html"
        shutil.copy(report_of(lake), page)
        REPORT.write_bytes(shown(page))
    for picture in (DRAWING, REPORT):
        print(f"written: {picture.relative_to(ROOT)}, {picture.stat().st_size:,} bytes")


def built(directory: str) -> str:
    """A sample lake with its first model."""
    lake = f"{directory}/lake"
    daystone("sample", "--lake-root", lake)
    daystone("run", "model", "--date", MODEL_DATE, "--lake-root", lake)
    return lake


def report_of(lake: str) -> str:
    files = daystone("files", "model", "--date", MODEL_DATE, "--lake-root", lake).splitlines()
    return next(file for file in files if file.endswith("/report.html"))


def daystone(*arguments: str) -> str:
    """Run a verb, and return what it prints. Where it fails, this process ends with its exit code."""
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def shown(page: Path) -> bytes:
    """The top of a page in a browser, as a small PNG."""
    return png(browser.find().pixels(page, *WINDOW))


def png(pixels: np.ndarray) -> bytes:
    """A PNG with the most frequent colours of uint8 [height, width, 3]; each other pixel gets the nearest one of them."""
    height, width, _ = pixels.shape
    found, places, times = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    palette = found[np.argsort(-times, kind="stable")[:COLOURS]]
    distances = np.abs(found[:, None, :].astype(int) - palette[None, :, :]).sum(axis=2)
    indices = distances.argmin(axis=1).astype(np.uint8)[places.ravel()].reshape(height, width)
    lines = np.hstack([np.zeros((height, 1), np.uint8), indices])  # a line begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def chain() -> str:
    """The stages in their order as SVG, each with its dataset and its days, and an arrow from whatever it is built from.

    The stages that no day of the chain asks for by default stand below the others.
    """
    row: list[type[Dated]] = [tasks.RawPartition, *(stage for stage in CHAIN if days_due(stage))]
    aside = [stage for stage in CHAIN if not days_due(stage)]
    at = {task: (_left(number), _TOP) for number, task in enumerate(row)}
    for task in aside:  # below what it is built from; what is built from landed days, below the first stage
        column = max([1, *(row.index(source) for source in sources(task) if source in row)])
        free = sum(x == _left(column) for x, _ in at.values())
        at[task] = _left(column), _TOP + free * (_HEIGHT + _BELOW)
    width = _left(len(row)) - _GAP + _MARGIN
    height = max(y for _, y in at.values()) + _HEIGHT + _MARGIN
    edges = [_edge(at[source], at[task]) for task in at for source in sources(task)]
    words = " ► ".join(task.__name__ for task in row)
    legend = _left(2), _TOP + 2 * (_HEIGHT + _BELOW) + _HEIGHT // 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" aria-labelledby="title">',
            f'<title id="title">{escape(words)}</title>',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<rect class="paper" width="{width}" height="{height}"/>',
            *edges,
            *(line for task, (x, y) in at.items() for line in _box(task, x, y)),
            f'<text x="{legend[0]}" y="{legend[1] - 4}">A box is a stage, with the dataset that it writes, a day at a time.</text>',
            f'<text x="{legend[0]}" y="{legend[1] + 14}">An arrow leads from a dataset to what is built from it.</text>',
            "</svg>\n",
        ]
    )


def sources(task: type[Dated]) -> Iterator[type[Dated]]:
    """What a stage is built from: landed days, where it reads feeds, and other stages."""
    if issubclass(task, Stage):
        if "feeds_read" in vars(task):
            yield tasks.RawPartition
        yield from task.built_from


def days_due(stage: type[Stage]) -> int:
    """The number of days, in four weeks after the first model, on which the chain asks for a stage by default."""
    days = [date(2027, 1, 1) + timedelta(days=number) for number in range(28)]
    return sum(stage.is_due(day, _settings()) for day in days)


def _settings() -> SimpleNamespace:
    """The settings by which a stage is due, as they are by default."""
    kept = SimpleNamespace(snapshot=features.snapshot._default)
    chosen = SimpleNamespace(manual_from=selection.manual_from._default)
    others = SimpleNamespace(**dict(_defaults()))
    return SimpleNamespace(first_date=date(2026, 1, 1), features=kept, selection=chosen, training=others)


def _defaults() -> Iterator[tuple[str, object]]:
    for name in ("cadence", "window_days", "label_delay_days"):
        yield name, getattr(training, name)._default


def _box(task: type[Dated], x: int, y: int) -> Iterator[str]:
    if issubclass(task, Stage):
        data = task.dataset
        days = _EVERY[days_due(task)] if task.is_used(_settings()) else "where it is set"
        kind = "stage" if days_due(task) else "aside"
    else:
        data, days, kind = "raw", "landed by others", "raw"
    middle = x + _BOX // 2
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{_BOX}" height="{_HEIGHT}" rx="5"/>'
    for number, (style, text) in enumerate([("name", task.__name__), ("data", f"{data}/"), ("days", days)]):
        yield f'<text class="{style}" x="{middle}" y="{y + 21 + 18 * number}" text-anchor="middle">{escape(text)}</text>'


def _edge(source: tuple[int, int], target: tuple[int, int]) -> str:
    """An arrow: straight to the next box of a row and to the box above or below, above the boxes to one further on, down
    and right to one below. Below the first row nothing is between two boxes."""
    (from_x, from_y), (to_x, to_y) = source, target
    steps = (to_x - from_x) // (_BOX + _GAP)
    if to_x == from_x and to_y > from_y:
        way = f"M{from_x + _BOX // 2} {from_y + _HEIGHT} V{to_y}"
    elif to_x == from_x:
        way = f"M{from_x + _BOX // 2} {from_y} V{to_y + _HEIGHT}"
    elif to_y > from_y:
        middle, level = from_x + _BOX // 2, to_y + _HEIGHT // 2
        way = f"M{middle} {from_y + _HEIGHT} V{level - 8} Q{middle} {level} {middle + 8} {level} H{to_x}"
    elif steps == 1 or from_y > _TOP:
        level = from_y + _HEIGHT // 2
        way = f"M{from_x + _BOX} {level} H{to_x}"
    else:
        begin, end, level = from_x + _BOX * 2 // 3, to_x + _BOX // 3, from_y - _ARC * steps
        way = (
            f"M{begin} {from_y} V{level + 8} Q{begin} {level} {begin + 8} {level} "
            f"H{end - 8} Q{end} {level} {end} {level + 8} V{to_y}"
        )
    return f'<path class="edge" d="{way}"/>'


def _left(number: int) -> int:
    """Where the box of this number begins."""
    return _MARGIN + number * (_BOX + _GAP)


if __name__ == "__main__":
    main()
