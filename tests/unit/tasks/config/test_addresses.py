"""Which addresses may stand in luigi.cfg, and where the others come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from tasks.config import addresses, check, shown
from tasks.config.settings import Settings
from tests.unit.stubs import cases
from tests.unit.stubs.stublake import configure

PLAIN = [
    "mailto://mail.example:2525?from=daystone@mail.example&to=ada@mail.example&mode=insecure",
    "jsons://hooks.example/daystone/nightly",
    "json://127.0.0.1:8080/",
    "forms://hooks.example?rto=10&cto=2",
]
SECRET = [
    "mailto://ada:hush@mail.example?to=ada@mail.example",
    "mailto://mail.example?user=ada&pass=hush",
    "json://hooks.example/T024BE7LD/XyzabcDEF0123456789hush",
    "json://hooks.example/?+Authorization=hush",
    "json://hooks.example/#hush",
    "slack://hush/hush/hush/",
    "discord://1/hush",
    "tgram://hush/1",
    "json://[hush/",
]


def settings(monkeypatch: pytest.MonkeyPatch, text: str) -> Settings:
    configure(monkeypatch, f"[notify]\n{text}\n")
    return Settings("loans", cases.Loans())


def urls_of(found: Settings) -> list[str]:
    return addresses.of(found.notify, found.said_by("notify", "urls_file"))


@pytest.mark.parametrize("url", PLAIN)
def test_an_address_without_a_secret_may_stand_in_the_configuration(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    found = settings(monkeypatch, f"urls = {url}")

    found.check()

    assert urls_of(found) == [url]


@pytest.mark.parametrize("url", SECRET)
def test_an_address_that_is_or_may_hold_a_secret_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    found = settings(monkeypatch, f"urls = {PLAIN[0]} {url}")

    with pytest.raises(ConfigurationError) as refused:
        found.check()

    scheme = url.partition(":")[0]
    assert str(refused.value) == (
        "[notify] urls: wanted addresses without a password, a token or a key; found address 2 "
        f"({scheme}), which is or may hold a secret. Next: put it into the environment's DAYSTONE_NOTIFY_URLS, or into a "
        "private file that [notify] urls_file names"
    )


def test_a_text_that_is_no_address_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, "urls = hush@mail.example")

    with pytest.raises(ConfigurationError) as refused:
        found.check()

    assert str(refused.value) == (
        "[notify] urls: wanted addresses like mailto://mail.example?to=me@mail.example; found address 1 without ://. Next: "
        "correct it"
    )


@pytest.mark.parametrize("value", ['"slack://hush/hush/hush/"', "slack://hush/ # the team"])
def test_an_address_that_is_badly_written_is_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    configure(monkeypatch, f"[notify]\nurls = {value}\n")

    with pytest.raises(ConfigurationError) as refused:
        Settings("loans", cases.Loans()).check()

    assert "hush" not in str(refused.value)
    assert "found one that is not shown: it may hold a secret" in str(refused.value)
    assert "hush" not in "".join(map(str, check.refused_values()))
    assert shown.shown("notify", "urls", value) == "(not shown)"


def test_all_places_together_give_the_addresses_each_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text(f"# chat\n\n{SECRET[5]}\n  {PLAIN[0]}\n")
    file.chmod(0o400)
    monkeypatch.setenv("DAYSTONE_NOTIFY_URLS", f"{SECRET[0]}\n{PLAIN[1]}")

    found = urls_of(settings(monkeypatch, f"urls = {PLAIN[0]}\nurls_file = {file}"))

    assert found == [PLAIN[0], SECRET[0], PLAIN[1], SECRET[5]]


def test_nobody_is_told_unless_a_place_names_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYSTONE_NOTIFY_URLS", " ")
    assert not addresses.is_configured(settings(monkeypatch, "").notify)

    monkeypatch.setenv("DAYSTONE_NOTIFY_URLS", PLAIN[0])
    assert addresses.is_configured(settings(monkeypatch, "").notify)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_or_write_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "urls"
    file.write_text(SECRET[0])
    file.chmod(mode)

    with pytest.raises(ConfigurationError) as refused:
        urls_of(settings(monkeypatch, f"urls_file = {file}"))

    assert str(refused.value) == (
        f"[notify] urls_file: wanted a file that its owner alone may read (chmod 600); found {file} with mode {mode:03o}. "
        f"Next: chmod 600 {file}"
    )


def test_a_file_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        urls_of(settings(monkeypatch, f"urls_file = {tmp_path}/nowhere"))

    assert str(refused.value) == (
        f"[notify] urls_file: wanted a file that its owner alone may read (chmod 600); found {tmp_path}/nowhere: No such file "
        "or directory. Next: correct it"
    )


def test_a_file_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_bytes(b"\xff\xfe")
    file.chmod(0o600)

    with pytest.raises(ConfigurationError) as refused:
        urls_of(settings(monkeypatch, f"urls_file = {file}"))

    assert str(refused.value) == (
        f"[notify] urls_file: wanted a file in UTF-8; found {file}, which is none. Next: save it as UTF-8"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("late_after = 8:00", "[notify] late_after: wanted a value like 08:00; found 8:00. Next: correct it"),
        ("late_after = 24:00", "[notify] late_after: wanted a value like 08:00; found 24:00. Next: correct it"),
        (
            "timezone = Europe/Atlantis",
            "[notify] timezone: wanted a value like UTC or Europe/Berlin; found Europe/Atlantis. Next: correct it",
        ),
        ("timezone = ..", "[notify] timezone: wanted a value like UTC or Europe/Berlin; found ... Next: correct it"),
        (
            "timeout_seconds = 0",
            "[notify] timeout_seconds: wanted a value above 0, at most 300; found 0.0. Next: correct it",
        ),
    ],
)
def test_a_value_of_notify_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings(monkeypatch, text).check()

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count = 11", "[retries] count: wanted a value from 0 to 10; found 11. Next: correct it"),
        (
            "delay_seconds = 3601",
            "[retries] delay_seconds: wanted a value from 0 to 3600; found 3601.0. Next: correct it",
        ),
        (
            "on = store, shop",
            "[retries] on: wanted one of scheduler, store; found 'shop'. Next: correct it",
        ),
    ],
)
def test_a_value_of_retries_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    configure(monkeypatch, f"[retries]\n{text}\n")

    with pytest.raises(ConfigurationError) as refused:
        Settings("loans", cases.Loans()).check()

    assert str(refused.value) == message


@pytest.mark.parametrize("text", ["", "\n\n", "# json://mail.example\n"])
def test_a_file_without_an_address_is_refused_because_it_would_tell_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "urls"
    file.write_text(text)
    file.chmod(0o600)

    with pytest.raises(ConfigurationError) as refused:
        urls_of(settings(monkeypatch, f"urls_file = {file}"))

    assert str(refused.value) == (
        f"[notify] urls_file: wanted a file with an address a line; found {file} without one. Next: correct it, or unset it"
    )
