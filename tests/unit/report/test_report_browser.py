"""The report in a real browser: its charts are drawn where their numbers are, and nothing overlaps, overflows or is fetched."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference

from tests.support import browser
from tests.support.browser import Browser
from tests.unit.reports import Trained, inconclusive, trained

pytestmark = pytest.mark.processes

#: Of the style sheet.
PAPER, CURVE = (255, 255, 255), (0x1B, 0x5E, 0x9B)
DARK_PAPER, DARK_CURVE = (0x15, 0x18, 0x1B), (0x82, 0xBB, 0xF0)
MOST_PAGES = 7
WINDOW = 1100, 1000
WIDTHS = {"desktop": WINDOW[0], "tablet": 700, "phone": 390, "small phone": 320}
LONG = "number_of_days_between_the_first_repayment_and_the_last_one_of_all_loans_of_this_customer_so_far"

#: Measures the page from inside, in the words that the tests read: boxes in CSS pixels.
MEASURE = """
const box = element => { const r = element.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom] };
const texts = [...document.querySelectorAll('svg text')].map(
  each => ({chart: each.ownerSVGElement.id, words: each.textContent, box: box(each), inside: box(each.ownerSVGElement)}));
const escaping = [...document.querySelectorAll('main *')].filter(each => !each.closest('.scroll, svg')).filter(
  each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(each => each.outerHTML);
const pinched = [...document.querySelectorAll('.scroll')].filter(
  each => each.scrollWidth > each.clientWidth + 1).map(each => each.querySelector('th').textContent);
parent.postMessage({
  width: innerWidth, overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  texts, escaping, pinched, frame: box(document.querySelector('#roc .frame')),
}, '*');
"""


@dataclass(frozen=True)
class Shown:
    """A page, what a window of a desktop shows of it, and where its ROC curve's frame is there."""

    page: Path
    pixels: np.ndarray
    frame: tuple[float, float, float, float]


@pytest.fixture(scope="session")
def chromium() -> Browser:
    return browser.find()


@pytest.fixture(scope="module")
def model() -> Trained:
    return trained()


@pytest.fixture(scope="module")
def shown(chromium: Browser, model: Trained, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    directory = tmp_path_factory.mktemp("report")
    page = written(directory / "report.html", model.page())
    frame = measured(chromium, directory, model.page(), WINDOW[0])["frame"]
    return Shown(page, chromium.pixels(page, *WINDOW), tuple(frame))


def written(path: Path, page: str) -> Path:
    path.write_text(page, encoding="utf-8")
    return path


def measured(chromium: Browser, directory: Path, page: str, width: int) -> dict[str, Any]:
    """What a copy of the page that may run a script says of itself, in a frame of that width."""
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert copy != page
    inner = html.escape(copy.replace("</body>", f"<script>{MEASURE}</script></body>"))
    outer = written(
        directory / "outer.html",
        "<!DOCTYPE html><meta charset='utf-8'><body style='margin:0'><pre></pre><script>onmessage = message => "
        "document.querySelector('pre').textContent = JSON.stringify(message.data)</script>"
        f"<iframe srcdoc=\"{inner}\" style='border:0;height:900px;width:{width}px'></iframe>",
    )
    dom = chromium.dom(outer, "--window-size=1400,1000", "--virtual-time-budget=10000")
    said = re.search(r"<pre>(.*?)</pre>", dom, re.DOTALL)
    assert said and said[1], dom[:500]
    found: dict[str, Any] = json.loads(html.unescape(said[1]))
    assert found["width"] == width
    return found


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_overflows_and_no_words_of_a_chart_overlap(chromium: Browser, tmp_path: Path, width: int) -> None:
    model = trained()
    model.card["classes"] = {"positive": "charged_off_within_the_first_year", "negative": ["paid_back_in_full"]}
    model.card["settings"][LONG] = LONG

    found = measured(chromium, tmp_path, model.page(importance={LONG: 0.6, "b": 0.4}), width)

    assert (found["overflow"], found["escaping"]) == (0, [])
    assert len(found["texts"]) > 60
    assert [each["words"] for each in found["texts"] if not _within(each["box"], each["inside"])] == []
    assert _overlapping(found["texts"]) == []
    if width > 1000:
        assert found["pinched"] == []


def test_words_that_overlap_or_leave_the_page_are_found(chromium: Browser, tmp_path: Path) -> None:
    page = trained().page().replace("no better than chance", "no better than chance, which would be the diagonal")
    page = page.replace('class="word">', 'class="word" style="width:2000px">')
    page = re.sub(
        r'<text x="(\S+)" y="\S+" text-anchor="end">area', r'<text x="\1" y="232" text-anchor="end">area', page
    )

    found = measured(chromium, tmp_path, page, 390)

    assert found["overflow"] > 300
    assert len(found["escaping"]) == 1
    assert _overlapping(found["texts"]) != []


def test_the_roc_curve_has_its_pixels_where_its_numbers_are(shown: Shown, model: Trained) -> None:
    another = trained(seed=1, spread=2.0)

    assert _misses(shown.pixels, shown.frame, model, CURVE) == []
    assert len(_misses(shown.pixels, shown.frame, another, CURVE)) > 10


def test_a_dark_screen_gets_a_dark_page_and_paper_a_light_one(chromium: Browser, model: Trained, shown: Shown) -> None:
    dark = chromium.pixels(shown.page, *WINDOW, browser.DARK)
    printed = browser.drawn(chromium.paper(shown.page, browser.DARK))

    assert (tuple(shown.pixels[3, 3]), tuple(dark[3, 3])) == (PAPER, DARK_PAPER)
    assert _misses(dark, shown.frame, model, DARK_CURVE) == []
    assert _filled(CURVE) in printed
    assert _filled(DARK_PAPER) not in printed and _filled(DARK_CURVE) not in printed


def test_it_prints_to_few_pages_of_a4(chromium: Browser, shown: Shown, tmp_path: Path) -> None:
    printed = chromium.paper(shown.page)
    short = chromium.paper(written(tmp_path / "short.html", inconclusive().page()))

    assert 3 <= browser.pages(printed) <= MOST_PAGES
    assert browser.pages(short) <= 2
    boxes = re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed)
    assert boxes
    for box in boxes:
        assert [float(end) for end in box.split()] == pytest.approx([0, 0, 595, 842], abs=1.5)


def test_lines_are_told_apart_without_colour(shown: Shown) -> None:
    """The diagonal is dashed: along it there is paper between its ink."""
    left, top, right, bottom = shown.frame
    grey = shown.pixels.mean(axis=2)

    way = np.linspace(0.15, 0.45, 200)
    along = grey[(bottom - way * (bottom - top)).astype(int), (left + way * (right - left)).astype(int)]

    assert (along < 120).mean() > 0.3
    assert (along > 200).mean() > 0.2


def test_what_a_page_fetches_or_says_is_seen(chromium: Browser, tmp_path: Path, shown: Shown) -> None:
    chromium.dom(shown.page)
    fetching = shown.page.read_text().replace("</body>", '<img src="http://127.0.0.1:9/picture.png"></body>')

    with pytest.raises(AssertionError, match="Content Security Policy"):
        chromium.dom(written(tmp_path / "fetching.html", fetching))


def _within(box: list[float], outer: list[float]) -> bool:
    return box[0] >= outer[0] - 1 and box[1] >= outer[1] - 1 and box[2] <= outer[2] + 1 and box[3] <= outer[3] + 1


def _overlapping(texts: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Pairs of words of one chart whose boxes share more than a hair."""
    found = []
    for number, one in enumerate(texts):
        for other in texts[:number]:
            across = min(one["box"][2], other["box"][2]) - max(one["box"][0], other["box"][0])
            down = min(one["box"][3], other["box"][3]) - max(one["box"][1], other["box"][1])
            if one["chart"] == other["chart"] and across > 1 and down > 3:  # a line's box is taller than its letters
                found.append((one["chart"], one["words"], other["words"]))
    return found


def _misses(
    pixels: np.ndarray, frame: Sequence[float], model: Trained, colour: tuple[int, int, int]
) -> list[tuple[float, float]]:
    """The false positive rates of twenty at which the model's true positive rate has no pixel of the curve's colour."""
    left, top, right, bottom = frame
    false, true, _ = reference.roc_curve(model.labels, model.scores)
    near = np.abs(pixels.astype(int) - colour).sum(axis=2) < 60
    missed = []
    for rate in np.linspace(0.05, 0.95, 20):
        x = int(left + rate * (right - left))
        y = bottom - np.interp((x + 0.5 - left) / (right - left), false, true) * (bottom - top)
        if not near[int(y) - 3 : int(y) + 4, x - 1 : x + 2].any():
            missed.append((float(rate), float(y)))
    return missed


def _filled(colour: tuple[int, int, int]) -> bytes:
    """The choice of a colour, as the browser writes it into a PDF."""
    return b" ".join(f"{part / 255:.4f}".lstrip("0").rstrip("0").encode() for part in colour) + b" rg"
