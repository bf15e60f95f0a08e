"""``status --html``: the calendar and the lineage of each day as one page, in a real browser and by the keyboard's means."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result

import tasks
from spark_lib.errors import ConfigurationError
from tasks.cli import main
from tests.support import browser
from tests.unit.stubs.stublake import StubLake, build, prepare

pytestmark = pytest.mark.slow

DAY = date(2026, 1, 13)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> StubLake:
    with pytest.MonkeyPatch.context() as patch:
        lake = prepare(patch, tmp_path_factory.mktemp("status-page") / "lake")
        lake.land(DAY)
        build(tasks.BatchInference(date=DAY))
    return lake


@pytest.fixture
def page(lake: StubLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(monkeypatch, lake.root)
    file = tmp_path / "status.html"
    result = status("--html", str(file), "--to", "2026-01-14")
    assert result.exit_code == 0, result.output
    assert f"written: {file}" in result.output
    return file


def status(*arguments: str) -> Result:
    return CliRunner().invoke(main.main, ["status", *arguments])


def parsed(page: Path) -> ET.Element:
    """The page, which is well-formed but for its elements without an end."""
    text = page.read_text().removeprefix("<!DOCTYPE html>\n")
    return ET.fromstring(re.sub(r"(<meta [^>]*)>", r"\1/>", text))  # noqa: S314  (a page of our own)


def words(element: ET.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def test_each_day_of_the_calendar_leads_to_its_part_of_the_page(page: Path) -> None:
    found = parsed(page)

    links = [link.attrib["href"] for link in found.iterfind(".//table//a")]
    parts = [f"#{part.attrib['id']}" for part in found.iterfind(".//section[@id]")]
    assert links == parts
    assert links[-1] == "#2026-01-14"
    assert len(links) == 14
    cells = {words(row[0]): [words(cell) for cell in row[1:]] for row in found.iterfind(".//tbody/tr")}
    assert cells[str(DAY)][:2] == ["landed", "landed"]
    assert cells["2026-01-14"][:3] == ["waiting", "waiting", "waiting"]


def test_a_day_says_what_its_predictions_come_from_down_to_the_raw_days(page: Path) -> None:
    (part,) = [part for part in parsed(page).iterfind(".//section[@id]") if part.attrib["id"] == str(DAY)]

    (lineage,) = part.iterfind("div[@class='lineage']")
    tree = words(lineage)
    assert tree.startswith(f"predictions of {DAY} features of")
    assert "features: published, 0 rows" in words(part)
    for ancestor in (
        f"features of {DAY} raw/events of 2026-01-01 to {DAY}",
        f"selection of {DAY} model of 2026-01-12 report balanced of 2026-01-12",
        "features of 2026-01-03 to 2026-01-09 raw/events of 2026-01-01 to 2026-01-09",
    ):
        assert ancestor in tree


def test_the_report_of_the_model_is_where_its_link_says(page: Path) -> None:
    (link,) = {link.attrib["href"] for link in parsed(page).iterfind(".//div[@class='lineage']//a")}

    report = Path(unquote(link.removeprefix("file://")))
    assert (report.name, report.read_text()) == ("report.html", "<p>report\n")


def test_a_day_without_predictions_says_so_and_why(page: Path) -> None:
    (part,) = [part for part in parsed(page).iterfind(".//section[@id]") if part.attrib["id"] == "2026-01-14"]

    assert "predictions: blocked by features of 2026-01-14" in words(part)
    assert "No predictions of the day are published." in words(part)


def test_the_page_fetches_nothing_and_runs_nothing(page: Path) -> None:
    text = page.read_text()

    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert not re.search(r"<script|<img|<link|url\(|@import|\son\w+=", text)


def test_a_page_is_written_beside_json_and_over_an_older_one(
    lake: StubLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(monkeypatch, lake.root)
    file = tmp_path / "status.html"
    file.write_text("older")

    result = status("--html", str(file), "--json")

    assert result.stdout.startswith("{")
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [file]


def test_a_lake_that_holds_nothing_has_a_page_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch, tmp_path / "lake")

    assert status("--html", str(tmp_path / "status.html")).exit_code == 0

    assert "No raw day has landed, and nothing is built." in words(parsed(tmp_path / "status.html"))


def test_a_place_that_cannot_be_written_is_said(
    lake: StubLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(monkeypatch, lake.root)
    file = tmp_path / "nowhere" / "status.html"

    result = status("--html", str(file))

    assert result.exit_code == ConfigurationError.exit_code
    assert (
        f"Error: status --html {file}: wanted a file that can be written; found No such file or directory. Next: name "
        "another place" in result.output
    )


#: Says of the page which days it shows before and after a link was followed, as Enter does, whether the keyboard reaches
#: every link that is shown, and whether anything is wider than the window.
LOOK = """<script>onload = () => {
  const seen = () => [...document.querySelectorAll('section.day')].filter(
    each => getComputedStyle(each).display !== 'none').map(each => each.id);
  const reached = () => [...document.querySelectorAll('a')].filter(each => each.getClientRects().length).every(
    each => { each.focus(); return document.activeElement === each && each.tabIndex === 0 });
  const before = seen();
  document.querySelector('a[href="#DAY"]').click();
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  document.title = JSON.stringify({before, after: seen(), reached: reached(), wide});
}</script>"""


@pytest.mark.processes
@pytest.mark.parametrize("width", [1100, 600])
def test_a_browser_shows_the_newest_day_and_then_the_one_whose_link_was_followed(page: Path, width: int) -> None:
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    page.write_text(copy.replace("</body>", f"{LOOK.replace('DAY', str(DAY))}</body>"))

    dom = browser.find().dom(page, f"--window-size={width},900")

    said = re.search(r"<title>(.*?)</title>", dom)
    assert said is not None
    assert json.loads(html.unescape(said[1])) == {
        "before": ["2026-01-14"],
        "after": [str(DAY)],
        "reached": True,
        "wide": False,
    }
