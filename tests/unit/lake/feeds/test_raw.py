"""Raw feeds: where a day lands, whether it has, and what it was."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_lib.errors import BadData, ConfigurationError, HoleInHistory, LakeError, WaitingForData
from spark_lib.lake import DEFAULT_PATH, Input, RawFeed, are_comparable, days, is_s3
from spark_lib.lake.feeds.raw import EMPTY
from spark_lib.lake.stores.local import LocalStore

if TYPE_CHECKING:
    from tests.support.outsiders import Outsider

DAY, NEXT_DAY, THIRD_DAY = date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)
#: Templates with the key of 2026-01-02 below the root.
TEMPLATES = [
    (DEFAULT_PATH, "credit_risk/raw/applications/date=2026-01-02"),
    ("{root}/{feed}/{date:%Y/%m/%d}", "applications/2026/01/02"),
    ("{root}/{feed}/year={date:%Y}/month={date:%m}/day={date:%d}", "applications/year=2026/month=01/day=02"),
    ("{root}/{feed}/{date:year=%Y/month=%m}/{date:%d}", "applications/year=2026/month=01/02"),
    ("{root}/{date:%d.%m.%Y}/{feed}/v1", "02.01.2026/applications/v1"),
    ("{root}/{feed}-{date:%Y%m%d}_full", "applications-20260102_full"),
    ("{root}/{date:%Y}/{feed}/{date:%m-%d}", "2026/applications/01-02"),
    ("{root}/my landing #1 100%/é [{feed}]{date:%Y-%m-%d} x", "my landing #1 100%/é [applications]2026-01-02 x"),
    ("{root}/2020-05-05/a+b=c/{date:%Y-%m-%d}", "2020-05-05/a+b=c/2026-01-02"),
    ("{root}/{date:%Y}/{date:%Y-%m-%d}", "2026/2026-01-02"),
    ("{root}//a/../{{b}}/{date:%Y-%m-%d}", "{b}/2026-01-02"),
]


@pytest.fixture
def feed(lake_root: str) -> RawFeed:
    return RawFeed("applications", lake_root, "credit_risk")


def land(outsider: Outsider, day: date, *names: str) -> None:
    for name in (*names, "_SUCCESS"):
        outsider.write(f"credit_risk/raw/applications/date={day}/{name}", b"rows")


# --- templates ---


@pytest.mark.parametrize(("path", "key"), TEMPLATES)
def test_a_template_names_the_directory_of_a_day(lake_root: str, path: str, key: str) -> None:
    feed = RawFeed("applications", lake_root, "credit_risk", path)

    assert feed.directory(NEXT_DAY) == f"{lake_root}/{key}"
    assert feed.flag_url(NEXT_DAY) == f"{lake_root}/{key}/_SUCCESS"


@pytest.mark.parametrize(("path", "key"), TEMPLATES)
def test_a_day_is_read_wherever_its_template_puts_it(lake_root: str, outsider: Outsider, path: str, key: str) -> None:
    feed = RawFeed("applications", lake_root, "credit_risk", path)
    outsider.write(f"{key}/part 0.parquet", b"rows")
    outsider.write(f"{key}/_SUCCESS", b"")

    found = feed.day(NEXT_DAY)

    assert found is not None
    assert found.files == (f"{lake_root}/{key}/part 0.parquet",)
    with feed.open(found.files[0]) as file:
        assert file.read() == b"rows"
    assert feed.day(DAY) is None


@pytest.mark.parametrize(("path", "key"), TEMPLATES)
@pytest.mark.parametrize("below", ["part-0.parquet", "date=2020-05-05/2020/05/05/x-20200505/part-0.parquet"])
def test_the_pattern_finds_the_date_in_a_path_and_in_a_url(lake_root: str, path: str, key: str, below: str) -> None:
    pattern, java = RawFeed("applications", lake_root, "credit_risk", path).date_pattern
    file = f"{lake_root}/{key}/{below}"

    as_hadoop = [f"file:{_escaped(file)}", f"file://{_escaped(file)}"]
    if is_s3(lake_root):
        as_hadoop = [f"s3a://{_escaped(file.removeprefix('s3://'))}"]
    for spelling in (file, *as_hadoop):
        match = re.search(pattern, spelling)
        assert match is not None, (pattern, spelling)
        assert _parsed(match.group(1), java) == NEXT_DAY
    assert re.compile(pattern).groups == 1


@pytest.mark.parametrize("root", ["/", "/2020-05-05/date=2020-05-05", "/my lake/100%", "/%Y"])
def test_the_root_is_never_taken_for_the_date(root: str) -> None:
    feed = RawFeed("applications", root, "credit_risk")
    pattern, java = feed.date_pattern

    match = re.search(pattern, f"file:{_escaped(feed.directory(NEXT_DAY))}/part-0.parquet")

    assert match is not None
    assert _parsed(match.group(1), java) == NEXT_DAY


@given(st.dates(date(1, 1, 1)))
def test_every_day_has_its_directory_and_back(day: date) -> None:
    feed = RawFeed("applications", "/lake", "credit_risk")
    pattern, java = feed.date_pattern

    match = re.search(pattern, f"{feed.directory(day)}/part-0.parquet")

    assert match is not None
    assert _parsed(match.group(1), java) == day


def test_the_default_pattern_is_plain() -> None:
    assert RawFeed("applications", "/lake", "credit_risk").date_pattern == (
        r"^(?:[^/]*/+){5}date=(\d{4}\-\d\d\-\d\d)[^/]*/.*",
        "yyyy-MM-dd",
    )


def test_a_template_may_be_relative_or_a_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert RawFeed("a", "/lake", "b", "{date:%Y-%m-%d}").directory(DAY) == f"{tmp_path}/2026-01-01"
    assert re.search(RawFeed("a", "/lake", "b", "{date:%Y-%m-%d}").date_pattern[0], f"file:{tmp_path}/2026-01-01/part")
    assert RawFeed("a", "/lake", "b", "file:///x/{date:%Y-%m-%d}").directory(DAY) == "/x/2026-01-01"


FIELDS = "wanted {root}, {use_case}, {feed} and {date:%Y-%m-%d}; found"


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("{root}/{day}", f"{FIELDS} {{day}} in '{{root}}/{{day}}'. Next: correct the path"),
        ("{root}/{}", f"{FIELDS} {{}} in '{{root}}/{{}}'. Next: correct the path"),
        ("{root!r}/x", f"{FIELDS} {{root}} in '{{root!r}}/x'. Next: correct the path"),
        ("{root:>9}/x", f"{FIELDS} {{root}} in '{{root:>9}}/x'. Next: correct the path"),
        ("{date.year}", f"{FIELDS} {{date.year}} in '{{date.year}}'. Next: correct the path"),
        ("{date:%Y-%m-%d %H}", f"{FIELDS} {{date}} in '{{date:%Y-%m-%d %H}}'. Next: correct the path"),
        ("{date:%Y%%%m%d}", f"{FIELDS} {{date}} in '{{date:%Y%%%m%d}}'. Next: correct the path"),
        ("{root", "wanted a template; found '{root': expected '}' before end of string. Next: correct the path"),
        ("{root}/x", "wanted a date, as in {date:%Y-%m-%d}; found no year in '{root}/x'. Next: correct the path"),
        ("{date}", "wanted a date, as in {date:%Y-%m-%d}; found no year in '{date}'. Next: correct the path"),
        (
            "{date:%Y-month-day}",
            "wanted a date, as in {date:%Y-%m-%d}; found no month in '{date:%Y-month-day}'. Next: correct the path",
        ),
        (
            "{date:%Y-%m}",
            "wanted a date, as in {date:%Y-%m-%d}; found no day in '{date:%Y-%m}'. Next: correct the path",
        ),
        (
            "{date:%Y %m %d}",
            "wanted %Y, %m and %d with letters, digits, - _ = . / between them; found ' ' in '{date:%Y %m %d}'. "
            "Next: correct the path",
        ),
    ],
)
def test_a_template_that_cannot_work_is_refused(path: str, rest: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RawFeed("applications", "/lake", "credit_risk", path)

    assert str(caught.value) == f"[raw.applications] path: {rest}"


@pytest.mark.parametrize("path", ["s3://landing-{date:%Y-%m-%d}/{feed}", "S3A://{date:%Y%m}/{feed}/{date:%d}"])
def test_a_date_in_the_name_of_a_bucket_is_refused_for_a_bucket_is_reached_in_one_way(path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RawFeed("applications", "/lake", "credit_risk", path)

    assert str(caught.value) == (
        f"[raw.applications] path: wanted one bucket for all days; found a date in the bucket's name in {path!r}. "
        "Next: correct it"
    )


def test_a_place_that_no_store_serves_is_refused_by_the_feeds_name() -> None:
    feed = RawFeed("applications", "/lake", "credit_risk", "gs://bucket/{date:%Y-%m-%d}")

    with pytest.raises(ConfigurationError) as caught:
        feed.has_landed(DAY)

    assert str(caught.value) == (
        "[raw.applications] path 'gs://bucket/2026-01-01': wanted a local directory or s3://bucket/prefix; "
        "found the scheme gs://. Next: set [raw.applications] path"
    )


def test_a_format_that_nobody_reads_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RawFeed("applications", "/lake", "credit_risk", format="orc")

    assert str(caught.value) == ("[raw.applications] format: wanted one of parquet, csv; found 'orc'. Next: correct it")


def test_a_feed_without_a_flag_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RawFeed("applications", "/lake", "credit_risk", flag="")

    assert str(caught.value) == (
        "[raw.applications] flag: wanted the name of the file that lands last; found nothing. Next: set it"
    )


# --- days ---


def test_a_day_has_landed_once_its_flag_has(feed: RawFeed, outsider: Outsider) -> None:
    outsider.write("credit_risk/raw/applications/date=2026-01-01/part-0.parquet", b"rows")
    assert not feed.has_landed(DAY)
    assert feed.day(DAY) is None

    outsider.write("credit_risk/raw/applications/date=2026-01-01/_SUCCESS", b"")

    assert feed.has_landed(DAY)
    assert feed.day(DAY) is not None


def test_the_flag_is_asked_for_afresh(feed: RawFeed, outsider: Outsider) -> None:
    land(outsider, DAY)
    assert feed.has_landed(DAY)

    outsider.delete("credit_risk/raw/applications/date=2026-01-01/_SUCCESS")

    assert not feed.has_landed(DAY)


def test_a_flag_may_have_any_name(lake_root: str, outsider: Outsider) -> None:
    feed = RawFeed("applications", lake_root, "credit_risk", flag="done/READY.txt")
    outsider.write("credit_risk/raw/applications/date=2026-01-01/part-0.parquet", b"rows")
    outsider.write("credit_risk/raw/applications/date=2026-01-01/done/READY.txt", b"")

    found = feed.day(DAY)

    assert feed.has_landed(DAY)
    assert found is not None
    assert [Path(file).name for file in found.files] == ["part-0.parquet"]


def test_a_flagged_day_without_rows_is_a_day(feed: RawFeed, outsider: Outsider) -> None:
    land(outsider, DAY)

    found = feed.day(DAY)

    assert found is not None
    assert found.files == ()


def test_hidden_files_are_no_data(feed: RawFeed, outsider: Outsider) -> None:
    land(outsider, DAY, "b.parquet", ".b.parquet.crc", "_metadata", "_temporary/0/c.parquet", "hour=1/a.parquet")

    found = feed.day(DAY)

    assert found is not None
    assert [file.removeprefix(f"{feed.directory(DAY)}/") for file in found.files] == ["b.parquet", "hour=1/a.parquet"]


def test_the_fingerprint_follows_names_and_contents(feed: RawFeed, outsider: Outsider) -> None:
    def fingerprint() -> str:
        found = feed.day(DAY)
        assert found is not None
        return found.fingerprint

    land(outsider, DAY, "a.parquet")
    prints = [fingerprint(), fingerprint()]
    land(outsider, DAY, "b.parquet")
    prints.append(fingerprint())
    outsider.write("credit_risk/raw/applications/date=2026-01-01/b.parquet", b"swor")
    prints.append(fingerprint())
    outsider.delete("credit_risk/raw/applications/date=2026-01-01/b.parquet")
    prints.append(fingerprint())

    assert prints[0] == prints[1] == prints[4]
    assert len(set(prints)) == 3


def test_a_copy_of_a_day_has_its_identity_and_other_bytes_or_names_have_another(
    feed: RawFeed, outsider: Outsider
) -> None:
    def identity() -> str:
        found = feed.day(DAY)
        assert found is not None
        return feed.identity(found)

    file = "credit_risk/raw/applications/date=2026-01-01/a.parquet"
    land(outsider, DAY, "a.parquet")
    outsider.write(file, b"one")
    first = identity()
    outsider.delete(file)
    outsider.write(file, b"one")  # another inode, and another time
    copied = identity()
    outsider.write(file, b"two")
    changed = identity()
    outsider.delete(file)
    outsider.write(file.replace("a.parquet", "b.parquet"), b"two")
    renamed = identity()
    outsider.delete(file.replace("a.parquet", "b.parquet"))

    assert copied == first
    assert len({first, changed, renamed, identity(), EMPTY}) == 4
    assert are_comparable(first, changed)
    assert are_comparable(EMPTY, first)


def test_an_identity_is_not_compared_with_the_listing_that_an_older_manifest_of_a_disk_has(tmp_path: Path) -> None:
    local = RawFeed("applications", str(tmp_path), "credit_risk", "{root}/{date:%Y-%m-%d}")
    Path(local.directory(DAY)).mkdir()
    for name in ("a.parquet", "_SUCCESS"):
        Path(local.directory(DAY), name).write_bytes(b"rows")
    found = local.day(DAY)
    assert found is not None

    assert not are_comparable(found.fingerprint, local.identity(found))


def test_a_file_of_a_disk_is_read_once_for_its_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = RawFeed("applications", str(tmp_path / "lake"), "credit_risk", "{root}/{date:%Y-%m-%d}")
    Path(local.directory(DAY)).mkdir(parents=True)
    for name in ("a.parquet", "_SUCCESS"):
        Path(local.directory(DAY), name).write_bytes(b"rows")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = local.day(DAY)
    assert found is not None
    first = local.identity(found)
    monkeypatch.setattr(LocalStore, "checksum", lambda *given: pytest.fail("the file was read again"))

    assert local.identity(found) == first


def test_a_file_that_is_gone_has_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = RawFeed("applications", str(tmp_path / "lake"), "credit_risk", "{root}/{date:%Y-%m-%d}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path(local.directory(DAY)).mkdir(parents=True)
    for name in ("a.parquet", "_SUCCESS"):
        Path(local.directory(DAY), name).touch()
    found = local.day(DAY)
    assert found is not None
    Path(found.files[0]).unlink()

    with pytest.raises(BadData) as caught:
        local.identity(found)

    assert str(caught.value) == (
        f"raw feed applications: {found.files[0]}: wanted the file that was listed; found none any more, or a link to "
        "nothing. Next: land the day again, then run again"
    )


def test_a_history_has_every_day_and_its_identity(feed: RawFeed, outsider: Outsider) -> None:
    for day in days(DAY, THIRD_DAY):
        land(outsider, day, f"{day}.parquet")

    raw = feed.history(DAY, THIRD_DAY)

    assert [day.date for day in raw.days] == [DAY, NEXT_DAY, THIRD_DAY]
    assert raw.last.date == THIRD_DAY
    assert [Path(file).stem for file in raw.files] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert raw.input == Input("raw/applications", DAY, THIRD_DAY, tuple(map(feed.identity, raw.days)))
    raw.verify()


def test_a_hole_in_history_is_named(feed: RawFeed, outsider: Outsider) -> None:
    land(outsider, DAY)
    land(outsider, date(2026, 1, 9))

    with pytest.raises(HoleInHistory) as caught:
        feed.history(DAY, date(2026, 1, 9))

    assert str(caught.value) == (
        "raw feed applications: wanted every day from 2026-01-01 to 2026-01-09; found no flag '_SUCCESS' on 2026-01-02, "
        f"2026-01-03, 2026-01-04, 2026-01-05, 2026-01-06 and 2 more, as in {feed.directory(NEXT_DAY)}. Next: land the "
        "missing days (a flagged day may be empty), or set [pipeline] first_date to the first day that exists"
    )


def test_a_last_day_that_has_not_landed_is_waited_for_even_with_a_hole(feed: RawFeed, outsider: Outsider) -> None:
    land(outsider, DAY)
    outsider.write("credit_risk/raw/applications/date=2026-01-03/part-0.parquet", b"half")

    with pytest.raises(WaitingForData) as caught:
        feed.history(DAY, THIRD_DAY)

    assert str(caught.value) == (
        f"raw feed applications of 2026-01-03: wanted the flag {feed.flag_url(THIRD_DAY)}; found none yet. "
        "Next: land the day's files, then its flag, and run again"
    )


@pytest.mark.parametrize(
    ("name", "body", "found"),
    [("b.parquet", b"more", "others"), ("a.parquet", b"swor", "others"), ("_SUCCESS", None, "no flag any more")],
)
def test_a_day_that_changed_since_it_was_listed_is_bad_data(
    feed: RawFeed, outsider: Outsider, name: str, body: bytes | None, found: str
) -> None:
    for day in (DAY, NEXT_DAY):
        land(outsider, day, "a.parquet")
    raw = feed.history(DAY, NEXT_DAY)

    key = f"credit_risk/raw/applications/date=2026-01-01/{name}"
    if body is None:
        outsider.delete(key)
    else:
        outsider.write(key, body)

    with pytest.raises(BadData) as caught:
        raw.verify()
    assert str(caught.value) == (
        f"raw feed applications of 2026-01-01: {feed.directory(DAY)}: wanted the files that were listed when the attempt "
        f"began; found {found}. Next: run the stage again once the feed stays as it is; nothing was published"
    )


def test_a_flag_written_again_changes_nothing(feed: RawFeed, outsider: Outsider) -> None:
    land(outsider, DAY, "a.parquet")
    raw = feed.history(DAY, DAY)

    outsider.write("credit_risk/raw/applications/date=2026-01-01/_SUCCESS", b"again")

    raw.verify()


def test_a_file_where_a_days_directory_should_be_is_an_error(feed: RawFeed, tmp_path: Path) -> None:
    path = tmp_path / "landing" / "2026-01-01"
    path.parent.mkdir()
    path.touch()
    local = RawFeed("applications", str(tmp_path), "credit_risk", "{root}/landing/{date:%Y-%m-%d}")

    for ask in (local.has_landed, local.day):
        with pytest.raises(LakeError, match=r"found Not a directory\. Next: check the path"):
            ask(DAY)


def test_names_that_are_no_unicode_are_fingerprinted(tmp_path: Path) -> None:
    directory = bytes(tmp_path) + b"/2026-01-01"
    Path(directory.decode()).mkdir()
    for name in (b"caf\xe9.parquet", b"_SUCCESS"):
        with open(directory + b"/" + name, "wb"):
            pass
    local = RawFeed("applications", str(tmp_path), "credit_risk", "{root}/{date:%Y-%m-%d}")

    found = local.day(DAY)

    assert found is not None
    assert len(found.fingerprint) == 16


def _escaped(path: str) -> str:
    """As Hadoop's Path does for Spark's ``_metadata.file_path``."""
    return "".join(quote(sign, safe="/_-!.~'()*:@&=+$,;") if sign.isascii() else sign for sign in path)


def _parsed(text: str, java: str) -> date:
    """A date by the few signs of Java's patterns that are in use; literals in quotes are taken out of both."""
    regex = ""
    for literal, sign in re.findall(r"'([^']*)'|(yyyy|MM|dd|.)", java):
        group = {"yyyy": r"(?P<y{}>\d{{4}})", "MM": r"(?P<m{}>\d\d)", "dd": r"(?P<d{}>\d\d)"}.get(sign)
        regex += group.format(len(regex)) if group else re.escape(literal or sign)
    match = re.fullmatch(regex, text)
    assert match is not None, (regex, text)
    parts = {name[0]: int(value) for name, value in match.groupdict().items()}
    return date(parts["y"], parts["m"], parts["d"])
