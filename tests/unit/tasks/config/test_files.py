"""A configuration file that is there is read whole, or refused by name: by run.py, by ``doctor`` and by Luigi's command."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from tasks.config import defaults
from tasks.config import files as config_files
from tests.support.checkout import ROOT
from tests.support.processes import Commands, Result
from tests.unit.verbs import RUN_PY, Verbs, last_line

GOOD = b"[lake]\nroot = elsewhere\n"
WANTED = "wanted a configuration file that can be read"
#: Root reads whatever it likes, until it gives that up.
WITHOUT_PRIVILEGES = (
    ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"] if os.geteuid() == 0 else []
)
FEATURES = ("--module", "tasks", "FeatureEngineering", "--date", "2026-01-01")


def refused(path: Path) -> str:
    error = config_files.refusal(str(path))
    assert error is not None
    return str(error)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            b"[lake]\nroot = M\xfcller\n",
            "found the byte 0xfc in line 2, which is no UTF-8. Next: save it as UTF-8",
        ),
        (
            b"# M\xfcller\n" + GOOD,
            "found the byte 0xfc in line 1, which is no UTF-8. Next: save it as UTF-8",
        ),
        (
            b"\xef\xbb\xbf" + GOOD,
            "found a byte order mark of UTF-8 at its beginning. Next: save it as UTF-8 without a byte order mark",
        ),
        (
            GOOD.decode().encode("utf-16"),
            "found a byte order mark of UTF-16 at its beginning. Next: save it as UTF-8 without a byte order mark",
        ),
        (
            b"[lake]\nroot = x\0y\n",
            "found a null byte in line 2. Next: save it as text in UTF-8",
        ),
        (
            GOOD + b"root = x\n",
            "found While reading from '{path}' [line 3]: option 'root' in section 'lake' already exists. Next: correct it",
        ),
        (
            GOOD + GOOD,
            "found While reading from '{path}' [line 3]: section 'lake' already exists. Next: correct it",
        ),
        (
            b"root = x\n" + GOOD,
            "found no section header before line 1. Next: correct it",
        ),
        (
            GOOD + b'[spark]\nconf = {\n"hush"}\n[raw]\n"hush"\n',
            "found no key with a value in line 5, 7. Next: correct it",
        ),
    ],
    ids=["latin-1", "latin-1 comment", "mark", "utf-16", "null", "key", "section", "no section", "no value"],
)
def test_a_file_that_cannot_be_understood_is_refused_with_the_line(tmp_path: Path, body: bytes, found: str) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_bytes(body)

    assert refused(path) == f"{path}: {WANTED}; {found.format(path=path)}"


@pytest.mark.parametrize("header", ["[lake]  # see [raw]", '["lake"]', "[ lake ]", "[[lake]]"])
def test_a_section_that_would_be_passed_over_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text(f"{header}\nroot = x\n")
    name = header.removesuffix("]").removeprefix("[")

    assert refused(path) == (
        f"{path}: wanted the name of a section alone in its brackets; found the section {name!r}. "
        "Next: write [lake] on a line of its own"
    )


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (Path.mkdir, "found a directory. Next: put a file there, or remove it"),
        (
            lambda path: path.symlink_to("nowhere"),
            "found a link to nowhere, which is not there. Next: correct or remove the link",
        ),
        (
            lambda path: path.symlink_to(path),
            "found Too many levels of symbolic links. Next: correct or remove it",
        ),
        (
            lambda path: os.mkfifo(path),
            "found what is no file, but a pipe, a socket or a device. Next: put a file there, or remove it",
        ),
        (
            lambda path: path.symlink_to("/dev/null"),
            "found what is no file, but a pipe, a socket or a device. Next: put a file there, or remove it",
        ),
    ],
    ids=["directory", "broken link", "loop", "pipe", "device"],
)
def test_what_is_there_and_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None], found: str) -> None:
    path = tmp_path / "luigi.cfg"
    make(path)

    assert refused(path) == f"{path}: {WANTED}; {found}"


@pytest.mark.parametrize("body", [b"", GOOD, GOOD.replace(b"\n", b"\r\n"), "# Müller\n".encode() + GOOD])
def test_a_file_that_is_as_it_should_be_is_not_refused(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_bytes(body)

    assert config_files.refusal(str(path)) is None
    assert config_files.readable([str(path), str(tmp_path / "none.cfg")]) == [str(path)]


def test_no_file_is_no_reason_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert config_files.refusal(str(tmp_path / "luigi.cfg")) is None
    assert config_files.refusal(str(tmp_path / "file" / "luigi.cfg")) is None


def test_letters_that_luigi_would_read_in_another_encoding_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text("[lake]\nroot = Müller\n", encoding="utf-8")
    monkeypatch.setattr("locale.getpreferredencoding", lambda do_setlocale: "ISO-8859-1")

    assert refused(path) == (
        f"{path}: {WANTED}; found characters beyond ASCII, which Luigi would read as ISO-8859-1. "
        "Next: set PYTHONUTF8=1, or a locale of UTF-8 (LC_ALL=C.UTF-8)"
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"LUIGI_CONFIG_PARSER": "toml"},
            "LUIGI_CONFIG_PARSER: wanted cfg, the format of luigi.cfg; found toml, which Daystone does not read. "
            "Next: unset it, and write the values into luigi.cfg",
        ),
        (
            {"LUIGI_CONFIG_PARSER": "yaml"},
            "LUIGI_CONFIG_PARSER: wanted cfg, the format of luigi.cfg; found 'yaml'. "
            "Next: unset it, and write the values into luigi.cfg",
        ),
        (
            {"LUIGI_CONFIG_PATH": "/mine.toml"},
            "LUIGI_CONFIG_PATH: wanted a file in the format of luigi.cfg; found /mine.toml, which Luigi takes for TOML. "
            "Next: write the values into a file named *.cfg",
        ),
    ],
    ids=["toml", "unknown parser", "path"],
)
def test_another_format_than_that_of_luigi_cfg_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        config_files.check(defaults.files())

    assert str(caught.value) == message


def test_a_luigi_toml_that_nobody_reads_is_refused_unless_the_parser_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "luigi.toml").write_text('[lake]\nroot = "x"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LUIGI_CONFIG_PARSER", raising=False)

    assert [str(error) for error in config_files.refusals([])] == [
        f"{tmp_path}/luigi.toml: wanted luigi.cfg, the only format that is read; found a file of TOML. "
        "Next: write its values into luigi.cfg and remove it, or set LUIGI_CONFIG_PARSER=cfg to leave it unread"
    ]
    monkeypatch.setenv("LUIGI_CONFIG_PARSER", "cfg")
    assert list(config_files.refusals([])) == []


# As a user sees it


def ask(home: Path, *arguments: str, prefix: list[str] | None = None, **variables: str) -> Result:
    """run.py in the directory ``home``."""
    environment = Verbs(home).environment | variables
    return Commands(home).run([*(prefix or []), sys.executable, RUN_PY, *arguments], env=environment)


def ask_luigi(home: Path, prefix: list[str] | None = None, **variables: str) -> Result:
    """Luigi's own command in the directory ``home``."""
    command = [*(prefix or []), sys.executable, "-m", "luigi", *FEATURES]
    return Commands(home).run(command, env=Verbs(home).environment | variables)


def refused_by_doctor(result: Result) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.startswith("!! configuration ")]


@pytest.mark.processes
@pytest.mark.parametrize("name", ["luigi.cfg", "client.cfg", "secret/mine.cfg"])
def test_a_file_that_the_user_may_not_read_is_refused_by_each_command(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(GOOD)
    (path if path.parent == tmp_path else path.parent).chmod(0)
    variables = {"LUIGI_CONFIG_PATH": str(path)} if "secret" in name else {}
    reason = (
        f"{path}: {WANTED}; found Permission denied. "
        "Next: give this user the right to read it, and to enter the directories above it"
    )

    status = ask(tmp_path, "status", prefix=WITHOUT_PRIVILEGES, **variables)
    run = ask(tmp_path, "run", "--date", "2026-01-01", prefix=WITHOUT_PRIVILEGES, **variables)
    sample = ask(tmp_path, "sample", prefix=WITHOUT_PRIVILEGES, **variables)
    luigi = ask_luigi(tmp_path, prefix=WITHOUT_PRIVILEGES, **variables)
    doctor = ask(tmp_path, "doctor", prefix=WITHOUT_PRIVILEGES, **variables)

    for result in (status, run, sample):
        assert (result.code, result.stdout, last_line(result)) == (31, "", f"Error: {reason}")
    assert (luigi.code, luigi.last_error) == (30, reason)
    assert "Traceback" not in luigi.stderr
    assert (doctor.code, refused_by_doctor(doctor)) == (1, [f"!! configuration    {reason}"])
    assert "ok java" in doctor.stdout or "!! java" in doctor.stdout
    assert not any(line.startswith("ok ") and str(path) in line for line in doctor.stdout.splitlines())
    assert not (tmp_path / "lake").exists()


@pytest.mark.processes
@pytest.mark.parametrize("name", ["luigi.cfg", "mine.cfg"])
def test_a_directory_in_place_of_a_file_is_refused_by_each_command(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    variables = {"LUIGI_CONFIG_PATH": str(tmp_path / name)} if name == "mine.cfg" else {}
    reason = f"{tmp_path}/{name}: {WANTED}; found a directory. Next: put a file there, or remove it"

    status, doctor = ask(tmp_path, "status", **variables), ask(tmp_path, "doctor", **variables)
    luigi = ask_luigi(tmp_path, **variables)

    assert (status.code, status.stdout, last_line(status)) == (31, "", f"Error: {reason}")
    assert (luigi.code, luigi.last_error) == (30, reason)
    assert (doctor.code, refused_by_doctor(doctor)) == (1, [f"!! configuration    {reason}"])


@pytest.mark.processes
@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            b"[lake]\nroot = M\xfcller\n",
            "found the byte 0xfc in line 2, which is no UTF-8. Next: save it as UTF-8",
        ),
        (
            b"\xef\xbb\xbf" + GOOD,
            "found a byte order mark of UTF-8 at its beginning. Next: save it as UTF-8 without a byte order mark",
        ),
        (
            b"root = x\n",
            "found no section header before line 1. Next: correct it",
        ),
    ],
    ids=["latin-1", "mark", "no section"],
)
def test_run_py_refuses_what_ends_luigi_while_it_is_imported(tmp_path: Path, body: bytes, found: str) -> None:
    (tmp_path / "luigi.cfg").write_bytes(body)
    reason = f"{tmp_path}/luigi.cfg: {WANTED}; {found}"

    status, doctor = ask(tmp_path, "status"), ask(tmp_path, "doctor")

    assert (status.code, status.stdout, status.stderr) == (31, "", f"Error: {reason}\n")
    assert (doctor.code, doctor.stdout) == (1, f"!! configuration    {reason}\n")
    assert doctor.stderr == "1 thing to mend, marked !!; the rest cannot be looked at before that\n"


@pytest.mark.processes
def test_run_py_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "luigi.cfg")

    result = ask(tmp_path, "status")

    assert (result.code, last_line(result)) == (
        31,
        f"Error: {tmp_path}/luigi.cfg: {WANTED}; found what is no file, but a pipe, a socket or a device. "
        "Next: put a file there, or remove it",
    )


@pytest.mark.processes
def test_a_null_byte_is_refused_by_luigis_command_too(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_bytes(b"[training]\nseed = 1\n[mine]\nkey = x\0y\n")

    result = ask_luigi(tmp_path)

    assert (result.code, result.last_error) == (
        30,
        f"{tmp_path}/luigi.cfg: {WANTED}; found a null byte in line 4. Next: save it as text in UTF-8",
    )


@pytest.mark.processes
def test_a_broken_file_of_the_checkout_is_refused_by_each_command(tmp_path: Path) -> None:
    checkout = _checkout(tmp_path / "checkout", "root = x\n")
    work = tmp_path / "work"
    work.mkdir()
    file = checkout / "config" / "luigi.cfg"
    reason = f"{file}: {WANTED}; found no section header before line 1. Next: correct it"

    luigi = Commands(work, checkout).luigi(*FEATURES)
    status = Commands(work, checkout).run([sys.executable, str(checkout / "run.py"), "status"])

    assert (luigi.code, luigi.last_error) == (30, reason)
    assert (status.code, last_line(status)) == (31, f"Error: {reason}")


def _checkout(place: Path, text: str) -> Path:
    """A copy of the code, beside a configuration of its own."""
    for package in ("tasks", "spark_lib"):
        shutil.copytree(ROOT / package, place / package)
    shutil.copy(ROOT / "run.py", place)
    (place / "config").mkdir()
    (place / "config" / "luigi.cfg").write_text(text)
    return place
