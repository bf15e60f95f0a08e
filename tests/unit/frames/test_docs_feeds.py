"""docs/feeds.md: each of its examples gives what stands below it, and each text of its table is read or refused."""

from __future__ import annotations

import configparser
import json
import re
import textwrap
from datetime import date
from pathlib import Path

import pytest

from spark_lib.errors import BadData
from spark_lib.frames import delimited
from spark_lib.lake import RawFeed
from spark_lib.lake.stores.s3_settings import Said
from spark_lib.use_case import Feature, Feed, Label, UseCase
from tasks.config import resolve, sections
from tasks.config.settings import Settings
from tests.support.aws_files import nothing_said, write
from tests.support.checkout import ROOT

PAGE = (ROOT / "docs" / "feeds.md").read_text()
EXAMPLES = re.findall(r"```ini\n(.*?)```\n```csv ?(\S*)\n(.*?)```\n```text\n(.*?)```", PAGE, re.DOTALL)
(OF_S3,) = re.findall(r"^(    \[raw\.orders\]\n(?:    .*\n)+)", PAGE, re.MULTILINE)
ROWS = re.findall(r"^\| ([A-Z_0-9(), ]+) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
DAY = date(2026, 1, 1)
#: As the page declares them.
COLUMNS = {"order_id": "string", "ordered_at": "timestamp", "amount": "decimal(10,2)", "shipped": "date"}


def feed_of(settings: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> RawFeed:
    """The feed by a configuration, read as the product reads it."""
    parser = configparser.ConfigParser()
    parser.read_string(settings)
    for section in parser.sections():
        for key, value in parser.items(section):
            monkeypatch.setitem(resolve._GIVEN, (section, key), value)
    return Settings("shop", Shop()).feed(str(root), "orders")


class Shop(UseCase):
    """What the page's feed belongs to."""

    feeds = {
        "orders": Feed("order_id STRING, ordered_at TIMESTAMP, amount DECIMAL(10,2), shipped DATE", key="order_id"),
        "returns": Feed("order_id STRING, state STRING", key="order_id"),
    }
    rows = "orders"
    entity = "order_id"
    event_time = "ordered_at"
    label = Label(feed="returns", key="order_id", column="state", positive="back", allowed=("back", "kept"))
    features = {"amount": Feature("DECIMAL(10,2)")}

    def engineer(self, day, history):  # type: ignore[no-untyped-def]  # nobody calls it
        return day


def read(feed: RawFeed, file: Path, columns: dict[str, str]) -> str:
    """What the page shows: each row as JSON, or the refusal."""
    try:
        found = list(delimited.read(feed, str(file), columns, DAY))
    except BadData as error:
        return str(error).replace(str(file), file.name)
    rows = [row for batch in found for row in batch.drop_columns("landed").to_pylist()]
    return "\n".join(json.dumps(row, default=str, ensure_ascii=False) for row in rows)


@pytest.mark.parametrize(("settings", "encoding", "text", "shown"), EXAMPLES)
def test_an_example_gives_what_stands_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, encoding: str, text: str, shown: str
) -> None:
    feed = feed_of(settings, tmp_path, monkeypatch)
    file = tmp_path / "orders.csv"
    file.write_bytes(text.encode(encoding or feed.dialect.encoding))

    assert feed.format == "csv"
    assert read(feed, file, COLUMNS) == shown.rstrip("\n")


def test_the_example_of_a_server_of_its_own_reaches_the_feed_there_and_with_its_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nothing_said(monkeypatch, tmp_path):
        write(tmp_path, "credentials", "[partner]\naws_access_key_id = key\naws_secret_access_key = hush\n")

        feed = feed_of(textwrap.dedent(OF_S3), tmp_path, monkeypatch)
        ways = Settings("shop", Shop()).ways(str(tmp_path))

    assert feed.directory(date(2026, 3, 1)) == "s3://partner-landing/orders/2026-03-01"
    assert feed.connection is not None
    assert feed.connection.own == Said("https://s3.partner.example", "--set raw.orders.endpoint")
    assert feed.connection.profile == Said("partner", "--set raw.orders.profile")
    assert {bucket: way.place for bucket, way in ways.items()} == {
        "partner-landing": ("https://s3.partner.example", "us-east-1", "partner")
    }


@pytest.mark.parametrize(("kinds", "good", "bad"), ROWS)
def test_the_table_of_types_is_true(tmp_path: Path, kinds: str, good: str, bad: str) -> None:
    feed = RawFeed("orders", str(tmp_path), "shop", format="csv")
    file = tmp_path / "orders.csv"
    for kind in re.findall(r"[A-Z_]+(?:\([\d,]+\))?", kinds):
        for texts, wanted in ((good, False), (bad, True)):
            for text in re.findall("`(.*?)`", texts):
                quoted = text if text.startswith('"') else f'"{text}"'
                file.write_text(f"x,y\n{quoted},1\n")
                refused = read(feed, file, {"x": kind.lower()}).startswith("raw feed orders: orders.csv, row 1")
                assert refused == wanted, (kind, text)


def test_every_option_stands_on_the_page_with_an_example_of_it() -> None:
    options = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    shared = {"path", "format", "flag", "min_rows"}

    assert options == {name for name, _ in sections.raw.get_params()} - shared
    examples = [textwrap.dedent(OF_S3), *(settings for settings, *_ in EXAMPLES)]
    assert options <= {key for settings in examples for key in re.findall(r"^(\w+) =", settings, re.MULTILINE)}


def test_the_page_has_the_examples_and_types_that_these_tests_look_for() -> None:
    assert len(EXAMPLES) == PAGE.count("```csv") >= 8
    assert len(ROWS) == 8
