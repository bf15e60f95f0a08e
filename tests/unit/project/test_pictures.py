"""The pictures of README.md: small, shown, and of the chain as it is."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tasks
from scripts import pictures
from tasks.planning.chain import CHAIN
from tests.support.checkout import ROOT
from tests.unit.reports import trained

MOST_BYTES = 60_000
SVG = "{http://www.w3.org/2000/svg}"


def chain() -> ElementTree.Element:
    return ElementTree.fromstring(pictures.chain())  # noqa: S314  (it is our own)


@pytest.mark.parametrize("picture", [pictures.DRAWING, pictures.REPORT], ids=["chain", "report"])
def test_a_picture_is_small_and_on_the_first_screen(picture: Path) -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]

    assert picture.stat().st_size < MOST_BYTES
    assert str(picture.relative_to(ROOT)) in first_screen


def test_the_kept_picture_of_the_chain_is_of_the_chain_as_it_is() -> None:
    assert pictures.DRAWING.read_text(encoding="utf-8") == pictures.chain(), "make pictures draws it anew"


def test_the_chain_has_every_stage_once_and_in_its_order() -> None:
    drawn = chain()

    names = [text.text for text in drawn.iter(f"{SVG}text") if text.get("class") == "name"]

    aside = [
        tasks.Cleaning,
        tasks.Snapshot,
        tasks.ServingFeatures,
        tasks.ShadowInference,
        tasks.Evaluation,
        tasks.Release,
        tasks.ModelImage,
    ]
    asked_for = [stage for stage in CHAIN if stage not in aside]
    assert names == [task.__name__ for task in (tasks.RawPartition, *asked_for, *aside)]


def test_a_name_is_inside_its_box_and_every_box_inside_the_picture() -> None:
    drawn = chain()
    width, height = (float(drawn.attrib[side]) for side in ("width", "height"))

    boxes = [box for box in drawn.iter(f"{SVG}rect") if box.get("class") != "paper"]
    assert len(boxes) == 1 + len(CHAIN)  # what lands, and each stage
    for box in boxes:
        left, top, wide, high = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert left > 0 and top > 0 and left + wide < width and top + high < height
        inside = [
            text.text or ""
            for text in drawn.iter(f"{SVG}text")
            if left < float(text.attrib["x"]) < left + wide and top < float(text.attrib["y"]) < top + high
        ]
        assert len(inside) == 3
        assert max(map(len, inside)) * 7.5 < wide  # of 12 pixels, in a wide font


def test_an_arrow_leads_to_each_stage_from_whatever_it_asks_for() -> None:
    found = {task.__name__: {source.__name__ for source in pictures.sources(task)} for task in CHAIN}

    assert found == {
        "Cleaning": {"RawPartition"},
        "Snapshot": {"Cleaning", "RawPartition"},
        "FeatureEngineering": {"Cleaning", "RawPartition", "Snapshot"},
        "ServingFeatures": {"Cleaning", "RawPartition"},
        "Balancing": {"Cleaning", "FeatureEngineering", "RawPartition"},
        "Training": {"Balancing"},
        "ModelSelection": {"Training", "Balancing"},
        "BatchInference": {"FeatureEngineering", "ModelSelection"},
        "ShadowInference": {"FeatureEngineering", "ModelSelection"},
        "Evaluation": {"BatchInference", "Cleaning", "RawPartition"},
        "Release": {"BatchInference", "Evaluation"},
        "ModelImage": {"ModelSelection"},
    }
    assert len(re.findall('class="edge"', pictures.chain())) == sum(map(len, found.values()))


def test_a_png_has_its_size_and_each_pixel_the_nearest_of_the_most_frequent_colours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "COLOURS", 2)
    pixels = np.array(
        [[[255, 255, 255], [255, 255, 255], [0, 0, 0]], [[0, 0, 0], [0, 0, 9], [250, 255, 255]]], np.uint8
    )

    made = pictures.png(pixels)

    header, palette, lines = (_chunk(made, kind) for kind in (b"IHDR", b"PLTE", b"IDAT"))
    assert header[:10] == bytes([0, 0, 0, 3, 0, 0, 0, 2, 8, 3])
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    indices = np.frombuffer(lines, np.uint8).reshape(2, 4)
    assert indices[:, 0].tolist() == [0, 0]  # no filter
    assert colours[indices[:, 1:]].tolist() == [[[255] * 3, [255] * 3, [0] * 3], [[0] * 3, [0] * 3, [255] * 3]]


def _chunk(png: bytes, kind: bytes) -> bytes:
    """The content of a chunk of a PNG, whose checksum is right."""
    at = png.index(kind)
    (size,) = struct.unpack(">I", png[at - 4 : at])
    body = png[at + 4 : at + 4 + size]
    assert struct.unpack(">I", png[at + 4 + size : at + 8 + size]) == (zlib.crc32(kind + body),)
    return zlib.decompress(body) if kind == b"IDAT" else body


@pytest.mark.processes
def test_a_report_becomes_a_small_picture(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(trained().page(), encoding="utf-8")

    made = pictures.shown(page)

    assert len(made) < MOST_BYTES
    assert _chunk(made, b"IHDR")[:8] == b"".join(side.to_bytes(4, "big") for side in pictures.WINDOW)
