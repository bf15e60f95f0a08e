"""How a value may be written: one rule for every value, whoever says it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.use_case import loading
from tasks.config import check, value_rules
from tasks.config.settings import Settings
from tests.support.processes import Commands
from tests.unit.stubs import cases
from tests.unit.stubs.stages import Leaf
from tests.unit.stubs.stublake import LOANS, configure
from tests.unit.verbs import Verbs, last_line

NO_QUOTES = "wanted a value without quotes around it; found {found}. Next: write it without quotes"
NO_COMMENT = "wanted a value without a comment behind it; found {found}. Next: put the comment on its own line"


def refusal(text: str) -> str:
    return str(value_rules.refusal("[lake] root", text) or "")


@pytest.mark.parametrize(
    "text",
    ['"s3://b/p"', "'s3://b/p'", "`s3://b/p`", "“s3://b/p”", "„s3://b/p“", "«s3://b/p»", "‘x’", '"x', 'x"', '""'],
)
def test_quotes_around_a_value_are_refused(text: str) -> None:
    assert refusal(text) == "[lake] root: " + NO_QUOTES.format(found=repr(text))


@pytest.mark.parametrize(
    "text", ["/data/lake  # production", "/data/lake ; production", "/data/lake\t#x", "# none", "; none", "x // last"]
)
def test_a_comment_behind_a_value_is_refused(text: str) -> None:
    assert refusal(text) == "[lake] root: " + NO_COMMENT.format(found=repr(text))


def test_quotes_and_a_comment_are_refused_at_once() -> None:
    assert refusal("\"/data/lake\"  # it is 'old'") == (
        "[lake] root: wanted a value without quotes around it and without a comment behind it; "
        "found '\"/data/lake\"  # it is \\'old\\''. Next: write it without quotes, and put the comment on its own line"
    )


@pytest.mark.parametrize("separator", ["\n", "\r"])
def test_a_value_that_goes_on_in_the_next_line_is_refused(separator: str) -> None:
    text = f"/data{separator}flag = x"

    assert refusal(text) == (
        f"[lake] root: wanted a value on one line; found {text!r}. "
        "Next: begin every section and every key at the beginning of its line"
    )


@pytest.mark.parametrize(
    "character", ["\0", "\x07", "\t", "\x7f", "\x85", "\u200b", "\ufeff", "\u00ad", "\u202e", "\u2028", "\udcff"]
)
def test_an_invisible_character_is_refused(character: str) -> None:
    text = f"/data{character}/lake"

    assert refusal(text) == (
        f"[lake] root: wanted a value without the invisible character U+{ord(character):04X}; found {text!r}. "
        "Next: type it anew"
    )


@pytest.mark.parametrize("text", [" lake", "lake ", "\u00a0lake", "lake\u202f"])
def test_white_space_around_a_value_is_refused(text: str) -> None:
    assert refusal(text) == (
        f"[lake] root: wanted a value without white space around it; found {text!r}. Next: write it without"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/data/#1",
        "/data/a;b",
        "/data/o'neil",
        '/data/the "old" lake',
        "s3://bucket/prefix",
        "//server/share",
        "/data/Müller",
        "/data/می\u200cخواهم",
        "local[*]",
        "{root}/raw/{feed}/{date:%Y-%m-%d}",
        "p#ss;w'rd",
        ";",
        "#",
    ],
)
def test_everything_else_is_a_value(text: str) -> None:
    assert refusal(text) == ""


def test_a_text_for_null_may_begin_as_a_comment_does() -> None:
    assert value_rules.refusal("[raw.orders] null_text", "#N/A") is None


def test_every_value_of_our_sections_that_is_badly_written_is_told_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(
        monkeypatch,
        "[lake]\nroot = '/lake'\n[training]\ntrees = 20 # few\nseed = 7\n[mine]\nroot = '/not of daystone'\n",
    )

    assert [str(error) for error in check.refused_values()] == [
        "[lake] root: " + NO_QUOTES.format(found="\"'/lake'\""),
        "[training] trees: " + NO_COMMENT.format(found="'20 # few'"),
    ]


def test_a_password_of_a_url_is_not_shown() -> None:
    assert refusal('"http://me:secret@host"') == "[lake] root: " + NO_QUOTES.format(found="'\"http://host\"'")


@pytest.mark.parametrize(
    "text", ['{"a": "b"}', '{"a": "b # c"}', '{"a": "x] ; y"}', "{}", '{"a":\n"b"}', '{"a": "{}"}', '{"#": "\\"b\\""}']
)
def test_json_may_have_quotes_and_lines_and_signs_inside(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    configure(monkeypatch, "[spark]\nconf = {}\n".format(text.replace("\n", "\n  ")))

    Settings(LOANS, loading.load(LOANS)).check()


@pytest.mark.parametrize(
    ("text", "wanted", "next_step"),
    [
        ('{"a": "secret"}  # b', "without a comment behind it", "put the comment on its own line"),
        ('{"a": "secret"}; b', "without a comment behind it", "put the comment on its own line"),
        ('\'{"a": "secret"}\'', "without quotes around it", "write it without quotes"),
    ],
)
def test_json_within_quotes_or_before_a_comment_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, text: str, wanted: str, next_step: str
) -> None:
    assert of_file(monkeypatch, f"[spark]\nconf = {text}\n") == (
        f"[spark] conf: wanted a value {wanted}; found one that is not shown: it may hold a secret. Next: {next_step}"
    )


def of_file(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """What the settings say of a file."""
    configure(monkeypatch, text)
    with pytest.raises(ConfigurationError) as caught:
        Settings(LOANS, loading.load(LOANS)).check()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[training]\nwindow_days = 28  # days\n",
            "[training] window_days: " + NO_COMMENT.format(found="'28  # days'"),
        ),
        ("[training]\nwindow_days = 28# days\n", "[training] window_days: " + NO_COMMENT.format(found="'28# days'")),
        (
            "[pipeline]\nfirst_date = 2026-01-01 ; the first\n",
            "[pipeline] first_date: " + NO_COMMENT.format(found="'2026-01-01 ; the first'"),
        ),
        ('[training]\nseed = "5"\n', "[training] seed: " + NO_QUOTES.format(found="'\"5\"'")),
        ("[spark]\nquick_start = 'true'\n", "[spark] quick_start: " + NO_QUOTES.format(found="\"'true'\"")),
        ('[lake]\ncache = "x"\n', "[lake] cache: " + NO_QUOTES.format(found="'\"x\"'")),
        (
            "[raw.events]\nflag = _SUCCESS  # last\n",
            "[raw.events] flag: " + NO_COMMENT.format(found="'_SUCCESS  # last'"),
        ),
        (
            "[training]\ncadence = daily  # not weekly\n",
            "[training] cadence: " + NO_COMMENT.format(found="'daily  # not weekly'"),
        ),
        (
            "[raw]\nflag = _SUCCESS\n  format = csv\n",
            "[raw] flag: wanted a value on one line; found '_SUCCESS\\nformat = csv'. "
            "Next: begin every section and every key at the beginning of its line",
        ),
    ],
)
def test_every_value_of_a_file_is_held_to_the_rule(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    assert of_file(monkeypatch, text) == message


def test_the_use_case_and_the_lake_of_a_file_are_held_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, f'[pipeline]\nuse_case = {LOANS}\n[lake]\nroot = "s3://b/p"\n')

    with pytest.raises(ConfigurationError) as caught:
        Leaf(date=date(2026, 1, 1))

    assert str(caught.value) == "[lake] root: " + NO_QUOTES.format(found="'\"s3://b/p\"'")


def test_a_setting_of_a_use_case_is_held_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases.Loans, "settings", dict(cases.Loans.settings) | {"raw.flag": "_SUCCESS  # last"})

    assert of_file(monkeypatch, "") == (
        "the use case's setting raw.flag: wanted a value without a comment behind it; found '_SUCCESS  # last'. "
        "Next: leave the comment out"
    )


@pytest.mark.processes
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--set", 'lake.root="s3://b/p"'],
            "--set lake.root: " + NO_QUOTES.format(found="'\"s3://b/p\"'"),
        ),
        (
            ["--set", "training.window_days=28 # days"],
            "--set training.window_days: wanted a value without a comment behind it; found '28 # days'. "
            "Next: leave the comment out",
        ),
        (
            ["--use-case", '"credit_risk"'],
            "--set pipeline.use_case: " + NO_QUOTES.format(found="'\"credit_risk\"'"),
        ),
        (
            ["--lake-root", "\u00a0lake"],
            "--set lake.root: wanted a value without white space around it; found '\\xa0lake'. Next: write it without",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_options_of_run_py_are_held_to_it(tmp_path: Path, options: list[str], message: str) -> None:
    result = Verbs(tmp_path)("status", *options)

    assert (result.code, result.stdout, last_line(result)) == (31, "", f"Error: {message}")


@pytest.mark.processes
def test_the_root_that_sample_is_given_is_held_to_it(tmp_path: Path) -> None:
    result = Verbs(tmp_path)("sample", "--lake-root", "'lake'")

    assert (result.code, last_line(result)) == (31, "Error: --set lake.root: " + NO_QUOTES.format(found="\"'lake'\""))
    assert not list(tmp_path.glob("*lake*"))


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "users_own", "message"),
    [
        (["--lake", '"lake"'], "", "--lake: " + NO_QUOTES.format(found="'\"lake\"'")),
        (["--use-case", f"'{LOANS}'"], "", "--use-case: " + NO_QUOTES.format(found=f"\"'{LOANS}'\"")),
        (["--lake-root", '"lake"'], "", "--lake-root: " + NO_QUOTES.format(found="'\"lake\"'")),
        ([], "[lake]\nroot = lake  # here\n", "[lake] root: " + NO_COMMENT.format(found="'lake  # here'")),
    ],
    ids=["parameter", "use case", "option", "file"],
)
def test_luigis_command_is_held_to_it(tmp_path: Path, arguments: list[str], users_own: str, message: str) -> None:
    asked = ["--module", "tests.unit.stubs.quick", "Leaf", "--date", "2026-01-01", *arguments]

    result = Commands(tmp_path).luigi(*asked, config=users_own)

    assert (result.code, result.last_error) == (30, message)
    assert "Traceback" not in result.stderr
