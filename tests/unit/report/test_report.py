"""The page of a training: what it says, that nothing gets out of it or into it, and that it can be read by machines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference

from spark_lib.models.card import Card
from spark_lib.problems import decision
from spark_lib.problems.metrics import counted
from spark_lib.problems.outputs import Outputs
from spark_lib.report import charts, classes, scores, shares
from spark_lib.report import training as report
from spark_lib.report.curves import Bin
from spark_lib.report.tables import figures
from tests.unit.reports import CONFIDENCE, IMPORTANCE, INPUTS, TITLE, Trained, inconclusive, trained

EVIL = '<script>alert("1")</script>&amp;\'<b onload=x>'
_VOID = ("meta",)


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    parent: Element | None
    parts: list[Element | str] = field(default_factory=list)

    @property
    def children(self) -> list[Element]:
        return [part for part in self.parts if isinstance(part, Element)]

    def all(self, *names: str) -> list[Element]:
        """Every element of these names below this one, in the order of the page."""
        found = []
        for child in self.children:
            found += [child] if child.name in names else []
            found += child.all(*names)
        return found

    def find(self, **attributes: str) -> Element:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        (found,) = [each for each in self.everything() if wanted.items() <= each.attributes.items()]
        return found

    def everything(self) -> list[Element]:
        return [self, *(below for child in self.children for below in child.everything())]

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)


class _Reader(HTMLParser):
    """Refuses an element that is closed by another's end."""

    def __init__(self) -> None:
        super().__init__()
        self.at = self.root = Element("", {}, None)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        element = Element(name, dict(attributes), self.at)
        self.at.parts.append(element)
        if name not in _VOID:
            self.at = element

    def handle_endtag(self, name: str) -> None:
        assert name == self.at.name
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, words: str) -> None:
        self.at.parts.append(words)


def read(page: str) -> Element:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.at is reader.root
    return reader.root


@pytest.fixture(scope="module")
def model() -> Trained:
    return trained()


@pytest.fixture(scope="module")
def page(model: Trained) -> Element:
    return read(model.page())


# -- what it says


@pytest.mark.slow
def test_the_verdict_comes_first_in_words_with_the_next_step(page: Element) -> None:
    verdict = page.find(class_="verdict approved")

    assert [each.text for each in page.all("h1")] == [TITLE]
    assert verdict.children[0].text == "Approved"
    assert "Next: selections consider this model" in verdict.text


@pytest.mark.parametrize(
    ("reason", "words", "next_step"),
    [
        ("gate", "Rejected: a gate was missed", "look at the missed gates"),
        ("inconclusive", "Rejected: inconclusive", "widen [training] window_days"),
        ("features", "Rejected: a feature says nothing", "repair the feature"),
        ("unlabelled", "Rejected: too many rows without an outcome", "set [training] label_delay_days"),
    ],
)
def test_a_rejection_says_why_and_what_to_do(model: Trained, reason: str, words: str, next_step: str) -> None:
    verdict = {"approved": False, "reason": reason, "detail": "area under ROC 0.5513 below 0.6000"}
    rejected = Trained(model.card | {"verdict": verdict, "model": None}, model.calibrated, None, *_no_rows())

    found = read(rejected.page()).find(class_="verdict")

    assert found.children[0].text == words
    assert found.children[1].text == "Area under ROC 0.5513 below 0.6000."
    assert next_step in found.text
    assert "days go on with the last approved model" in found.text


def test_a_warning_is_seen_right_below_the_verdict(model: Trained) -> None:
    warnings = ["amount is 2 and <hour> is null in all 900 rows of the train split: a model learns nothing from them"]
    warned = Trained(model.card | {"warnings": warnings}, model.calibrated, None, *_no_rows())

    (main,) = read(warned.page()).all("main")
    verdict, warning = main.children[1:3]

    assert (verdict.attributes["class"], warning.attributes["class"]) == ("verdict approved", "warning")
    assert warning.text == f"Warning: {warnings[0]}."


def test_a_gate_is_passed_or_missed_by_the_end_of_its_interval(model: Trained) -> None:
    missed = {
        "name": "calibration_error",
        "words": "calibration error",
        "value": 0.0412,
        "end": 0.0561,
        "bound": 0.05,
        "rule": "upper end at most",
        "passed": False,
    }
    card = model.card | {"gates": [*model.card["gates"], missed]}

    rows = _rows_of(read(Trained(card, None, None, *_no_rows()).page()), "Gates")

    value, end = model.card["gates"][0]["value"], model.card["gates"][0]["end"]
    assert rows[1:] == [
        ["area under ROC", f"{value:.4f}", "lower end at least 0.6000", f"{end:.4f}", "passed"],
        ["calibration error", "0.0412", "upper end at most 0.0500", "0.0561", "missed"],
    ]


def test_a_training_that_measured_nothing_has_its_reason_and_rows_and_no_chart() -> None:
    page = read(inconclusive().page())

    assert "Too few positives: 12 in the window." in page.find(class_="verdict").text
    assert page.all("svg") == []
    assert [each.text for each in page.all("h2")] == ["Rows", "What it was made of"]
    assert ["Validation", "0", "0", "0", "–"] in _rows_of(page, "Rows")


def test_every_part_of_an_approved_training_is_there(page: Element) -> None:
    assert [each.text for each in page.all("h2")] == [
        "Gates",
        "How well it ranks",
        "Are scores probabilities?",
        "Where the scores lie",
        "At a threshold",
        "What it looks at",
        "Metrics",
        "Rows",
        "What it was made of",
    ]
    charts_drawn = [each.attributes["id"] for each in page.all("svg") if each.attributes.get("role") == "img"]
    assert charts_drawn == ["roc", "pr", "calibration-before", "calibration-after", "scores"]
    captions = [each.text for each in page.all("caption")]
    assert captions == ["Inputs", "Classes, calibration and model", "Features", "Settings", "Versions"]


def test_metrics_stand_beside_their_intervals_before_and_after_calibration(model: Trained, page: Element) -> None:
    measured = model.card["metrics"]

    rows = {row[0]: row[1:] for row in _rows_of(page, "Metrics")}

    low, high = measured["intervals"]["brier"]
    before = measured["uncalibrated"]["brier"]
    assert rows["Brier score"] == [f"{before:.4f}", f"{measured['brier']:.4f}", f"{low:.4f} – {high:.4f}"]
    assert rows["Area under PR, balanced rows"] == ["–", "0.7100", "–"]
    low, high = measured["intervals"]["calibration_in_the_large"]
    assert rows["Calibration in the large"] == [
        "–",
        figures(measured["calibration_in_the_large"]),
        f"{figures(low)} – {figures(high)}",
    ]
    assert rows["Prevalence"][1] == f"{model.calibrated.prevalence if model.calibrated else 0:.4f}"


def test_metrics_out_of_time_stand_beside_those_of_the_window(model: Trained) -> None:
    measured = model.card["metrics"]
    later = {
        "days": 6,
        "rows": 1_200,
        "positives": 70,
        "area_under_roc": 0.6123,
        "intervals": {"area_under_roc": [0.55, 0.67]},
    }
    card = model.card | {"metrics": measured | {"out_of_time": later}}

    page = read(Trained(card, model.calibrated, model.uncalibrated, *_no_rows()).page())

    assert _rows_of(page, "Out of time")[1] == [
        "Area under ROC",
        f"{measured['area_under_roc']:.4f}",
        "0.6123",
        "0.5500 – 0.6700",
    ]
    assert "without the last 6 landing days of the window. It is judged on the validation rows" in page.text
    assert "these days: 1,200 rows, 70 positive." in page.text


def test_a_report_says_why_nothing_was_judged_out_of_time(model: Trained) -> None:
    later = {"days": 1, "rows": 12, "positives": 3, "reason": "too few to judge out of time by: 3 positive rows"}
    card = model.card | {"metrics": model.card["metrics"] | {"out_of_time": later}}

    page = read(Trained(card, model.calibrated, model.uncalibrated, *_no_rows()).page())

    assert "without the last landing day of the window" in page.text
    assert "Too few to judge out of time by: 3 positive rows." in page.text


def test_the_calibrations_that_were_tried_stand_beside_their_log_losses(model: Trained) -> None:
    tried = [
        {"kind": "prior", "log_loss": 0.1983, "behind": 0.0004, "standard_error": 0.0003},
        {"kind": "shift", "log_loss": 0.19791, "behind": 0.00001, "standard_error": 0.0002},
        {"kind": "platt", "log_loss": 0.1979, "behind": 0.0, "standard_error": 0.0},
    ]
    card = model.card | {"calibrations_tried": tried, "calibration": {"kind": "shift", "intercept": -2.3}}

    page = read(Trained(card, model.calibrated, model.uncalibrated, *_no_rows()).page())

    assert "Calibrated by a shift of the log-odds on the calibration split." in page.text
    (shown,) = [each for each in page.all("table") if each.children[0].text == "Calibrations tried"]
    assert [[cell.text for cell in row.all("th", "td")] for row in shown.all("tr")][1:] == [
        ["prior", "0.19830", "0.00040", "0.00030", ""],
        ["shift", "0.19791", "0.00001", "0.00020", "chosen"],
        ["platt", "0.19790", "0.00000", "0.00000", ""],
    ]


def test_rows_without_an_outcome_are_counted(page: Element) -> None:
    assert "61,000 rows with an outcome; 212 without one (0.346\N{NO-BREAK SPACE}%) were left out." in page.text
    assert ["Training, after balancing", "2,400", "2,400", "4,800", "50.0\N{NO-BREAK SPACE}%"] in _rows_of(page, "Rows")


def test_rows_on_two_sides_of_the_time_and_weights_are_said(model: Trained) -> None:
    rows = model.card["rows"] | {"on_two_sides": 3_487, "weights": {"positive": 4.7890625, "negative": 1.0}}

    page = read(Trained(model.card | {"rows": rows}, model.calibrated, model.uncalibrated, *_no_rows()).page())

    assert "3,487 with one are in no split, because their entity is on the other side of the time." in page.text
    assert "In training counts a negative one 1 times and a positive one 4.789 times." in page.text


def test_rows_whose_outcome_will_never_be_known_are_said(model: Trained) -> None:
    rows = model.card["rows"] | {"excluded": 3_400}

    page = read(Trained(model.card | {"rows": rows}, model.calibrated, model.uncalibrated, *_no_rows()).page())

    assert "3,400 rows are excluded, because their outcome will never be known." in page.text


def test_features_are_ordered_by_importance_and_the_many_are_cut_off(model: Trained) -> None:
    page = read(model.page(importance={f"f{number:02}": float(number) for number in range(40)}))

    rows = _rows_of(page, "What it looks at")

    assert [row[0] for row in rows[1:4]] == ["f39", "f38", "f37"]
    assert len(rows) == 1 + report.MOST_FEATURES
    assert "15 more features are less important." in page.text


def test_uncalibrated_scores_are_drawn_once(model: Trained) -> None:
    card = model.card | {"calibration": {"kind": "none"}}

    page = read(Trained(card, model.calibrated, model.calibrated, *_no_rows()).page())

    assert "Scores were not calibrated." in page.text
    assert "calibration-before" not in [each.attributes.get("id") for each in page.all("svg")]


# -- what it draws


def test_the_roc_curve_is_drawn_where_scikit_learn_has_it(model: Trained, page: Element) -> None:
    false, true, _ = reference.roc_curve(model.labels, model.scores)
    x, y = _drawn(page, "roc", "polyline", "curve")

    assert len(x) > 200
    assert np.abs(np.interp(x[5:-5] + y[5:-5], false + true, true) - y[5:-5]).max() < 0.005
    assert (x[0], y[0], x[-1], y[-1]) == pytest.approx((0, 0, 1, 1), abs=0.001)


def test_the_curve_lies_within_its_band(page: Element) -> None:
    x, y = _drawn(page, "roc", "polyline", "curve")
    across, up = _drawn(page, "roc", "polygon", "band")
    high, low = up[:101], up[:100:-1]

    at = np.interp(across[:101], x, y)

    assert (high >= low - 0.001).all() and (high[5:60] - low[5:60]).min() > 0.01
    assert ((low - 0.01 <= at) & (at <= high + 0.01)).all()


@pytest.mark.parametrize(
    ("largest", "end", "ticks"),
    [
        (0.9, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.45, 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (0.0312, 0.04, [0, 0.01, 0.02, 0.03, 0.04]),
        (0.0000001, 0.001, [0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001]),
    ],
)
def test_an_axis_ends_soon_after_its_largest_value_at_a_tick(largest: float, end: float, ticks: list[float]) -> None:
    upto = charts.rounded_up(largest)

    assert upto == pytest.approx(end)
    assert charts.Axis("", upto).ticks == pytest.approx(ticks)


def test_a_bin_is_drawn_at_its_score_and_share_with_its_interval() -> None:
    bins = [Bin(100, 0.2, 0.25, 0.15, 0.35), Bin(100, 0.6, 0.5, 0.4, 0.6)]
    drawn = read(charts.reliability("c", "C", bins, ("x", "y"), "d")).children[0]

    point = drawn.all("circle")[1].attributes
    frame = drawn.find(class_="frame").attributes
    left, top, width, height = (_length(frame, name) for name in ("x", "y", "width", "height"))
    assert (_length(point, "cx") - left) / width == pytest.approx(0.6 / 0.6, abs=0.001)
    assert 1 - (_length(point, "cy") - top) / height == pytest.approx(0.5 / 0.6, abs=0.001)
    line = [each.attributes for each in drawn.all("line") if each.attributes.get("class") == "interval"][1]
    assert (_length(line, "y1") - _length(line, "y2")) / height == pytest.approx(0.2 / 0.6, abs=0.001)


# -- that nothing gets in or out


@pytest.mark.slow
def test_the_same_training_gives_the_same_bytes() -> None:
    assert trained().page() == trained().page()
    assert trained(seed=1).page() != trained().page()


@pytest.mark.slow
@pytest.mark.parametrize(("grouped", "said"), [(True, "groups of entities among the natural"), (False, "the natural")])
def test_the_report_says_what_the_band_of_a_curve_draws(grouped: bool, said: str) -> None:
    outcomes, entities = np.tile([0, 1], 200), np.arange(400) // 4
    found = counted(np.linspace(0, 1, 400), outcomes, entities if grouped else None)

    page = str(scores.ranking(found, {}, ("bad", "good"), CONFIDENCE, seed=0))

    assert f"with a confidence of 95\N{NO-BREAK SPACE}%, by 200 resamplings of {said} validation rows." in page


def test_names_and_values_of_a_use_case_are_text_wherever_they_stand(model: Trained) -> None:
    card: dict[str, Any] = model.card | {
        "verdict": {"approved": False, "reason": "gate", "detail": EVIL},
        "gates": [dict(model.card["gates"][0]) | {"words": EVIL, "rule": EVIL}],
        "classes": {"positive": EVIL, "negative": [EVIL, 7]},
        "features": [{"name": EVIL, "type": EVIL, "fill": EVIL, "nominal": True}],
        "importance": {EVIL: 1.0},
        "settings": {EVIL: EVIL, "seed": 0, "confidence": CONFIDENCE, "list": [EVIL]},
        "versions": {EVIL: EVIL},
        "calibration": {"kind": EVIL, EVIL: EVIL},
        "model": {"file": EVIL, "sha256": EVIL, "size": 1},
    }
    inputs = [(EVIL, EVIL)]

    page = read(report.render(EVIL, Card.of(card), inputs, model.calibrated, model.uncalibrated))

    clean = read(model.page())
    assert {each.name for each in page.everything()} == {each.name for each in clean.everything()}
    assert page.all("h1")[0].text == page.all("title")[0].text == EVIL
    assert page.text.count(EVIL) > 20
    assert not [name for each in page.everything() for name in each.attributes if name.startswith("on")]


def test_the_page_refers_to_nothing_outside_itself_and_runs_nothing(page: Element) -> None:
    names = {each.name for each in page.everything()}
    attributes = {name for each in page.everything() for name in each.attributes}

    assert not names & {
        "script",
        "link",
        "img",
        "image",
        "iframe",
        "object",
        "embed",
        "base",
        "use",
        "a",
        "foreignobject",
    }
    assert not attributes & {"href", "src", "srcset", "xlink:href", "style", "data", "action", "background"}
    style = page.all("style")[0].text
    assert not re.search(r"url\(|@import|@font-face|https?:", style)
    policy = page.find(**{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


# -- that all can read it


def test_headings_tables_and_charts_say_what_they_are(page: Element) -> None:
    assert page.all("html")[0].attributes["lang"] == "en"
    levels = [int(each.name[1]) for each in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert {each.attributes.get("scope") for each in page.all("th")} == {"col", "row"}
    ids = [each.attributes["id"] for each in page.everything() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for chart in page.all("svg"):
        if chart.attributes.get("aria-hidden") == "true":
            assert chart.attributes["class"] == "share"
            continue
        named = str(chart.attributes["aria-labelledby"]).split()
        assert [each.attributes.get("id") for each in chart.children[:2]] == named
        assert all(len(each.text) > 5 for each in chart.children[:2])


def test_a_table_has_as_many_cells_in_each_row_as_headings(page: Element) -> None:
    for each in page.all("table"):
        assert len({len(row.all("th", "td")) for row in each.all("tr")}) == 1


def test_the_report_needs_every_feature_of_the_sample(page: Element) -> None:
    assert {row[0] for row in _rows_of(page, "What it looks at")[1:]} == set(IMPORTANCE)
    assert all(f"{name}{read_}" in page.text for name, read_ in INPUTS)


def _no_rows() -> tuple[np.ndarray, np.ndarray]:
    return np.array([]), np.array([])


def _rows_of(page: Element, section: str) -> list[list[str]]:
    """The cells of the first table of a section."""
    (found,) = [each for each in page.all("section") if each.children[0].text == section]
    return [[cell.text for cell in row.all("th", "td")] for row in found.all("table")[0].all("tr")]


def _drawn(page: Element, chart: str, shape: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The points of a line or a band, as proportions of the chart's frame."""
    svg = page.find(id=chart)
    frame = svg.find(class_="frame").attributes
    left, top, width, height = (_length(frame, name) for name in ("x", "y", "width", "height"))
    (line,) = [each for each in svg.all(shape) if each.attributes["class"] == kind]
    points = np.array([point.split(",") for point in str(line.attributes["points"]).split()], float)
    return (points[:, 0] - left) / width, 1 - (points[:, 1] - top) / height


def _length(attributes: dict[str, str | None], name: str) -> float:
    return float(str(attributes[name]))


def test_the_threshold_of_predictions_has_its_confusion_matrix_and_intervals(model: Trained) -> None:
    assert model.calibrated is not None
    settings = {"bootstrap_replicates": 50, "confidence": CONFIDENCE, "seed": 0}
    found = decision.at_threshold(model.calibrated, 0.2, settings)
    card = model.card | {"metrics": model.card["metrics"] | {"at_threshold": found}}

    page = read(Trained(card, model.calibrated, model.uncalibrated, *_no_rows()).page())

    rows = _rows_of(page, "At the threshold of predictions")
    assert rows[0] == ["Is", "Score from 0.2", "Below"]
    assert rows[1] == ["default", f"{found['true_positives']:,}", f"{found['false_negatives']:,}"]
    assert rows[2] == ["repaid", f"{found['false_positives']:,}", f"{found['true_negatives']:,}"]
    low, high = found["intervals"]["precision"]
    assert f"{shares.percent(found['precision'])}{shares.percent(low)} – {shares.percent(high)}" in page.text
    assert "positive (default) from a score of 0.2 on" in page.text


def test_a_threshold_that_no_row_reaches_has_no_precision(model: Trained) -> None:
    assert model.calibrated is not None
    settings = {"bootstrap_replicates": 50, "confidence": CONFIDENCE, "seed": 0}
    card = model.card | {
        "metrics": model.card["metrics"] | {"at_threshold": decision.at_threshold(model.calibrated, 0.999, settings)}
    }

    page = read(Trained(card, model.calibrated, model.uncalibrated, *_no_rows()).page())

    assert "Precision: the positives' share of the positive predictions––" in page.text


def test_segments_stand_by_column_below_all_rows(model: Trained) -> None:
    measured = model.card["metrics"]
    judged = {name: measured[name] for name in ("area_under_roc", "calibration_error")}
    ends = {"intervals": {"area_under_roc": [0.6, 0.75], "calibration_error": [0.0, 0.01]}}
    segments = [
        {"column": "<region>", "value": EVIL, "rows": 900, "outcomes": {"prevalence": 0.07}, "metrics": judged | ends},
        {
            "column": "<region>",
            "value": None,
            "rows": 40,
            "outcomes": {"prevalence": 0.0},
            "reason": "one class: no positive row",
        },
        {
            "column": "<region>",
            "value": None,
            "rows": 60,
            "others": 12,
            "outcomes": {"prevalence": 0.5},
            "metrics": judged | ends,
        },
        {
            "column": "new",
            "value": True,
            "rows": 1000,
            "outcomes": {"a": 0.1, "b": 0.4, "c": 0.2, "d": 0.3},
            "metrics": judged | ends,
        },
    ]
    card = model.card | {"segments": segments}

    page = read(Trained(card, model.calibrated, model.uncalibrated, *_no_rows()).page())

    rows = _rows_of(page, "Segments")
    area = f"{measured['area_under_roc']:.4f}"
    low, high = measured["intervals"]["area_under_roc"]
    assert rows[1][:4] == ["All rows", "1,000", "prevalence 0.0930", f"{area} ({low:.4f} – {high:.4f})"]
    assert rows[2][:4] == [EVIL, "900", "prevalence 0.0700", f"{area} (0.6000 – 0.7500)"]
    assert rows[3] == ["no value", "40", "prevalence 0.0000", "–", "–", "–", "–", "one class: no positive row"]
    assert rows[4][:2] == ["12 smaller values together", "60"]
    assert [each.text for each in page.all("caption")][:2] == ["Segments of <region>", "Segments of new"]
    assert "b 0.4000, d 0.3000, c 0.2000" in page.text


@pytest.mark.parametrize(
    ("number", "said"), [(15, ""), (16, " 1 smaller class is left out."), (18, " 3 smaller classes are left out.")]
)
def test_a_confusion_matrix_shows_the_largest_classes_and_says_how_many_it_leaves_out(number: int, said: str) -> None:
    labels = np.repeat(np.arange(number), np.arange(1, number + 1))  # the last class is the largest
    found = Outputs(np.eye(number)[labels], labels.astype(np.float64), np.zeros(len(labels), int))

    section = read(str(classes.confusion(found, [f"class {place}" for place in range(number)])))

    heading, *rows = [[cell.text for cell in row.children] for row in section.all("tr")]
    largest = [f"class {place}" for place in range(number - 1, number - 16, -1)]
    assert heading == ["Is, taken for", *largest, "Rows"]
    assert [(row[0], row[-1]) for row in rows] == [(name, str(number - place)) for place, name in enumerate(largest)]
    (note,) = section.all("p")
    assert note.text == (
        f"Natural validation rows by their class, and by the class that the model gives the greatest probability.{said}"
    )
