"""``daystone status --html``: the calendar as a page, with the lineage of each day behind it.

The page contains all that it needs and runs nothing. A day is chosen by a link to its part of the page, so the keyboard
and the browser's way back do what they do everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from pathlib import Path

from spark_lib.lake import Lake
from spark_lib.lake.lake import some
from spark_lib.report.markup import Markup, joined, tag
from spark_lib.report.page import page
from tasks.cli.place import write_whole
from tasks.cli.status import Cell, Report, State
from tasks.graph import words
from tasks.inference import BatchInference
from tasks.planning import lineage
from tasks.planning.lineage import Ancestor, Lineage, Span
from tasks.training import Training

STYLE = Path(__file__).with_name("status.css")


def write(found: Report, lake: Lake, file: Path) -> None:
    """Write the page into a file, which is there whole or not at all. Raises ConfigurationError where it cannot be
    written."""
    days = list(found.cells)
    lineages = lineage.traces(lake, BatchInference.dataset, days[0], days[-1]) if days else {}
    write_whole(file, rendered(found, lineages, partial(_report, lake)), f"status --html {file}")


def _report(lake: Lake, model: Ancestor) -> str:
    """Where a browser finds the report of a training; empty where there is none."""
    files = model.manifest.files if model.manifest else ()
    for file in files:
        if file.path.endswith("/report.html"):
            url = lake.store.url(f"{lake.prefix(model.day.name, model.day.date)}/{file.path}")
            return url if "://" in url else Path(url).absolute().as_uri()
    return ""


def rendered(found: Report, lineages: Mapping[date, Lineage], report_of: Callable[[Ancestor], str]) -> str:
    """The page as HTML. ``lineages`` are those of published predictions. ``report_of`` says where the report of a
    model is, and is empty where there is none."""
    newest = max(found.cells, default=None)
    parts = [tag("h1", f"{found.use_case} in {found.lake}"), _calendar(found), *_remarks(found)]
    parts += [_day(found, day, lineages.get(day), report_of, day == newest) for day in found.cells]
    return page(
        f"{found.use_case}: {some(list(found.cells))}" if found.cells else found.use_case, joined(*parts), STYLE
    )


def _calendar(found: Report) -> Markup:
    if not found.cells:
        return tag("p", "No raw day has landed, and nothing is built.")
    names = [*found.feeds, *found.datasets]
    head = tag("tr", tag("th", "day", scope="col"), *(tag("th", name, scope="col") for name in names))
    rows = [
        tag(
            "tr",
            tag("th", tag("a", day, href=f"#{day}"), scope="row"),
            *(tag("td", cells[name].text, class_=_class(cells[name])) for name in names),
        )
        for day, cells in found.cells.items()
    ]
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="calendar wide")
    return tag("section", tag("h2", "Calendar"), tag("div", table, class_="scroll"))


def _remarks(found: Report) -> list[Markup]:
    damaged = [tag("p", tag("strong", "Damaged: "), str(error), class_="warning") for error in found.damaged]
    return [*damaged, *(tag("p", f"{line}.", class_="note") for line in found.rejections)]


def _day(
    found: Report, day: date, of_day: Lineage | None, report_of: Callable[[Ancestor], str], is_newest: bool
) -> Markup:
    cells = found.cells[day]
    states = [
        tag("li", f"{name}: ", tag("span", _words(cell), class_=_class(cell)), _reasons(cell))
        for name, cell in cells.items()
        if cell.state is not State.NOT_DUE
    ]
    told = (
        tag("div", tag("ul", _branch(of_day, report_of)), class_="lineage")
        if of_day
        else tag("p", "No predictions of the day are published.", class_="note")
    )
    return tag(
        "section",
        tag("h2", str(day)),
        tag("ul", *states),
        tag("h3", "What the predictions come from"),
        told,
        id=str(day),
        class_="day newest" if is_newest else "day",
    )


def _words(cell: Cell) -> str:
    if cell.state in (State.PUBLISHED, State.REJECTED, State.HELD):
        rows = " rows" if cell.text.replace(",", "").isdigit() else ""
        return f"{cell.state.value}, {cell.text}{rows}"
    return words.of_cell(cell.judged) if cell.judged else cell.text


def _reasons(cell: Cell) -> Markup | None:
    if cell.judged is None or not cell.judged.reasons:
        return None
    return tag("ul", *(tag("li", reason) for reason in words.of_reasons(cell.judged.reasons)))


def _branch(of_day: Lineage, report_of: Callable[[Ancestor], str]) -> Markup:
    """The partition and, below each, what it was built from. What stands there already is not told twice."""
    spans = dict(of_day.spans())
    models = [each for each in of_day.ancestors if each.day.name == Training.dataset]
    told: set[Span] = set()

    def item(span: Span) -> Markup:
        again = span in told and bool(spans.get(span))
        told.add(span)
        below = [] if again else [item(source) for source in spans.get(span, [])]
        report = (
            next((report_of(model) for model in models if model.day.date == span.first), "")
            if span.name == Training.dataset
            else ""
        )
        link = joined(" ", tag("a", "report", href=report)) if report else None
        return tag("li", str(span), " (see above)" if again else None, link, tag("ul", *below) if below else None)

    return item(next(iter(spans)))


def _class(cell: Cell) -> str:
    return cell.state.value.replace(" ", "-")
