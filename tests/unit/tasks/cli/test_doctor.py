"""``doctor``: a line for each thing that a run needs, ok or what to do, and no JVM."""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest

from spark_lib import __version__
from spark_lib.errors import JavaMissing
from spark_lib.lake.stores.cache import user_directory
from spark_lib.session import java, jvm
from tasks.cli import doctor, place
from tasks.config import addresses
from tests.support import s3
from tests.support.checkout import ROOT
from tests.support.java import install_java
from tests.support.processes import Result
from tests.unit.verbs import Verbs

pytestmark = pytest.mark.processes


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    """Verbs on a machine with a Java 17, and a lake in which a day has landed."""
    verbs = Verbs(tmp_path)
    verbs.land("2026-01-01", 1)
    install_java(tmp_path, "17.0.15")
    return verbs


def test_on_a_machine_where_all_is_well_each_line_is_ok(daystone: Verbs) -> None:
    result = examined(daystone)

    assert (result.code, result.stderr) == (0, "")
    assert all(line.startswith("ok ") for line in result.stdout.splitlines())
    assert f"ok java             17 ({daystone.home}/jdk/bin/java, by JAVA_HOME)" in result.stdout
    assert (
        "ok start-up         no archive of Spark's classes: `python -m spark_lib.session.startup` makes one"
        in result.stdout
    )
    assert f"ok lake             {daystone.root} can be written and published to" in result.stdout
    assert "ok raw outcomes     newest landed day 2026-01-01" in result.stdout


def test_an_installation_of_spark_that_is_gone_is_refused_by_name(daystone: Verbs) -> None:
    assert wrong(examined(daystone, SPARK_HOME="/opt/gone")) == [
        "!! environment      SPARK_HOME: wanted an installation of Spark; found /opt/gone, which is not there. Next: unset "
        "SPARK_HOME"
    ]


def test_what_of_a_notebooks_environment_spark_is_spared_is_said(daystone: Verbs) -> None:
    notebook = {"PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell", "PYSPARK_DRIVER_PYTHON": "jupyter"}

    result = examined(daystone, **notebook)

    assert "ok environment      Spark starts without PYSPARK_DRIVER_PYTHON, PYSPARK_SUBMIT_ARGS\n" in result.stdout


def test_options_with_which_java_does_not_start_are_named(daystone: Verbs) -> None:
    program = daystone.home / "jdk" / "bin" / "java"
    program.write_text(
        '#!/bin/sh\n[ -z "$JAVA_TOOL_OPTIONS" ] || { echo "Picked up JAVA_TOOL_OPTIONS: x" >&2; '
        "echo \"Unrecognized VM option 'Nonsense'\" >&2; exit 1; }\necho 'openjdk version \"17.0.15\"' >&2\n"
    )

    assert wrong(examined(daystone, JAVA_TOOL_OPTIONS="-XX:+Nonsense")) == [
        "!! java             JAVA_TOOL_OPTIONS: wanted options that Java starts with; found Unrecognized VM option "
        "'Nonsense'. Next: unset JAVA_TOOL_OPTIONS"
    ]


def test_an_archive_of_sparks_classes_is_named(daystone: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(daystone.home / "cache"))
    name = jvm.name('openjdk version "17.0.15" 2025-04-15')
    archive = user_directory() / f"{name}-0.jsa"
    archive.parent.mkdir(parents=True)
    archive.touch()

    result = examined(daystone, XDG_CACHE_HOME=str(daystone.home / "cache"))

    assert f"ok start-up         Spark's classes are archived in {archive}\n" in result.stdout


def test_each_target_is_asked_whether_days_can_be_published_to_it(daystone: Verbs) -> None:
    given = {"files.kind": "csv", "files.root": daystone.home / "out", "db.kind": "postgres"}
    given["db.conninfo"] = "host=127.0.0.1 port=1 dbname=risk"

    result = examined(
        daystone, *(word for name, value in given.items() for word in ("--set", f"target.{name}={value}"))
    )

    assert "ok target files     days can be published to it (csv)\n" in result.stdout
    (line,) = wrong(result)
    assert line.startswith(
        "!! target db        PostgreSQL 127.0.0.1:1, database risk: wanted a server that lets us in; found "
    )
    assert line.endswith("Next: check host, port, user and password, and that the server runs; then run again")


def test_a_password_of_a_target_is_refused_and_not_shown(daystone: Verbs) -> None:
    given = ("target.db.kind=postgres", "target.db.conninfo=host=db password=hush", "target.db.secret=hush")

    result = examined(daystone, *(word for value in given for word in ("--set", value)))

    assert result.code == 1
    assert "hush" not in result.stdout + result.stderr + daystone.log
    assert "[target.db] secret = (not shown), from the command line" in result.stdout
    assert "--set target.db.conninfo: wanted a value without a password; found one that is not shown" in result.stdout


def test_the_probe_of_the_lake_leaves_nothing_behind(daystone: Verbs) -> None:
    before = set(daystone.contents())

    examined(daystone)

    assert set(daystone.contents()) == before


@pytest.mark.parametrize(
    ("version", "found"), [("11.0.2", "is Java 11"), ("1.8.0_392", "is Java 8"), ("25", "is Java 25")]
)
def test_a_java_that_spark_refuses_is_named_with_the_command_that_installs_another(
    daystone: Verbs, version: str, found: str
) -> None:
    install_java(daystone.home, version)

    result = examined(daystone)

    assert result.code == 1
    (line,) = wrong(result)
    assert found in line
    assert java.INSTALL in line


def test_the_installation_of_java_is_the_one_of_the_makefile() -> None:
    assert java.INSTALL in (ROOT / "scripts" / "prerequisites.sh").read_text()


def test_java_of_java_home_counts_before_that_of_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(install_java(tmp_path / "on-path", "21.0.1").parent), prepend=":")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(JavaMissing, match="found no /nowhere/bin/java"):
        java.find()

    monkeypatch.delenv("JAVA_HOME")

    assert (java.find().version, java.find().found_by) == (21, "PATH")


def test_each_value_that_is_no_default_is_shown_with_the_file_that_said_it(daystone: Verbs) -> None:
    config = daystone.home / "mine.cfg"
    config.write_text(
        '[training]\ntrees = 20\n[training.credit_risk]\ncadence = daily\n[spark]\nconf = {"a.password": "hush"}\n'
        "[smtp]\npassword = hush\n"
    )

    result = examined(daystone, "--set", "training.depth=4", LUIGI_CONFIG_PATH=str(config))

    assert f"[training.credit_risk] cadence = daily, from {config}" in result.stdout
    assert f"[spark] conf = a.password (values not shown), from {config}" in result.stdout
    assert "[training] depth = 4, from the command line" in result.stdout
    assert "trees" not in result.stdout
    assert "hush" not in result.stdout + result.stderr


def test_a_value_that_is_refused_is_not_called_ok(daystone: Verbs) -> None:
    result = examined(daystone, "--set", "training.depth=0")

    assert wrong(result) == [
        "!! use case         --set training.depth: wanted a value of at least 1; found 0. Next: correct it"
    ]
    assert "[training] depth" not in result.stdout


def test_all_packages_that_daystone_needs_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = [re.split("[<>=]", line)[0] for line in setup["options"]["install_requires"].split()]
    absent = {"numba", "threadpoolctl"}
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)

    found, missing = doctor._packages()

    assert [line.split()[0] for line in found.text.split(", ")] == ["daystone", *sorted(set(needed) - absent)]
    assert (missing.ok, missing.text) == (
        False,
        "no numba, threadpoolctl. Next: pip install numba threadpoolctl",
    )


def test_a_daystone_that_is_not_installed_cannot_say_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)

    (found,) = doctor._packages()

    assert (found.ok, found.text) == (
        False,
        f"daystone {__version__} is used from {ROOT} and is not installed: nobody says which packages it needs. "
        f"Next: pip install {ROOT}",
    )


def test_a_configuration_file_that_is_not_there_is_pointed_out(daystone: Verbs) -> None:
    result = examined(daystone, LUIGI_CONFIG_PATH="/nowhere/luigi.cfg")

    assert wrong(result) == [
        "!! configuration    LUIGI_CONFIG_PATH: wanted a file; found /nowhere/luigi.cfg, which is not there. "
        "Next: correct or unset it"
    ]


def test_an_unknown_key_is_pointed_out(daystone: Verbs) -> None:
    config = daystone.home / "mine.cfg"
    config.write_text("[training]\ncadense = daily\n")

    (line,) = wrong(examined(daystone, LUIGI_CONFIG_PATH=str(config)))

    assert "(did you mean 'cadence'?)" in line


def test_a_use_case_that_cannot_be_imported_is_pointed_out(daystone: Verbs) -> None:
    (daystone.home / "broken.py").write_text("import nothing_of_that_name\n")

    result = examined(daystone, "--use-case", "broken:Case", PYTHONPATH=str(daystone.home))

    (line,) = wrong(result)
    assert "broken:Case cannot be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'" in line


def test_feeds_of_which_nothing_has_landed_are_pointed_out_with_the_flag_that_was_looked_for(tmp_path: Path) -> None:
    daystone = Verbs(tmp_path)
    install_java(tmp_path, "21")

    lines = wrong(examined(daystone))

    assert [line.split()[1:3] for line in lines] == [["raw", "applications"], ["raw", "outcomes"]]
    assert f"{daystone.root}/credit_risk/raw/outcomes/date=2026-01-01/_SUCCESS" in lines[1]


def test_the_server_of_a_feed_is_named_with_its_region_and_credentials_and_listed(
    daystone: Verbs, feeds_server: s3.Server
) -> None:
    bucket = feeds_server.new_bucket()
    feeds_server.client().put_object(Bucket=bucket, Key="applications/2026-01-03/_SUCCESS", Body=b"")

    result = examined(daystone, **on_its_own_server(daystone, feeds_server, bucket))

    assert (result.code, result.stderr) == (0, "")
    assert (
        f"ok raw applications {feeds_server.endpoint}, by [raw.applications] endpoint; region us-east-1, by AWS_REGION; credentials by "
        "shared-credentials-file of the profile 'landing', by [raw.applications] profile\n"
        f"ok raw applications newest landed day 2026-01-03 (s3://{bucket}/applications/2026-01-03)\n"
    ) in result.stdout
    assert "ok raw outcomes     newest landed day 2026-01-01" in result.stdout
    assert "ok s3 " not in result.stdout  # a server that nothing is asked of
    assert feeds_server.secret_key not in result.stdout


@pytest.mark.parametrize(
    ("keys", "section", "found"),
    [
        (s3.SECRET_KEY, "landing", "Next: check [raw.applications] endpoint and [raw.applications] profile"),
        ("", "another", "!! s3               [raw.applications] profile: wanted a profile of AWS's files"),
    ],
    ids=["a wrong secret", "no such profile"],
)
def test_what_is_wrong_with_the_server_of_a_feed_is_said_by_its_name(
    daystone: Verbs, feeds_server: s3.Server, keys: str, section: str, found: str
) -> None:
    environment = on_its_own_server(daystone, feeds_server, feeds_server.new_bucket())
    (daystone.home / "credentials").write_text(feeds_server.profile(section, secret_key=keys))

    (line,) = wrong(examined(daystone, **environment))

    assert found in line


def on_its_own_server(daystone: Verbs, server: s3.Server, bucket: str) -> dict[str, str]:
    """An environment in which one feed lies on a server of its own, by a profile."""
    config, credentials = daystone.home / "mine.cfg", daystone.home / "credentials"
    config.write_text(
        f"[raw.applications]\nendpoint = {server.endpoint}\nprofile = landing\n"
        f"path = s3://{bucket}/{{feed}}/{{date:%%Y-%%m-%%d}}\n"
    )
    credentials.write_text(server.profile("landing"))
    return {
        "LUIGI_CONFIG_PATH": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def examined(daystone: Verbs, *options: str, **environment: str) -> Result:
    return daystone("doctor", *options, JAVA_HOME=str(daystone.home / "jdk"), **environment)


def wrong(result: Result) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.startswith("!! ")]


def test_who_is_told_when_something_is_wrong_is_shown_without_an_address(daystone: Verbs) -> None:
    result = examined(daystone, DAYSTONE_NOTIFY_URLS="slack://hush/hush/hush mailto://ada:hush@mail.example")

    assert "ok notify           addresses (slack, mailto); daystone notify --test sends to them" in result.stdout
    assert "hush" not in result.stdout + result.stderr


def test_a_file_of_addresses_that_others_may_read_is_pointed_out(daystone: Verbs) -> None:
    file = daystone.home / "addresses"
    file.touch(0o644)

    assert wrong(examined(daystone, "--set", f"notify.urls_file={file}")) == [
        f"!! notify           --set notify.urls_file: wanted a file that its owner alone may read (chmod 600); found {file} with "
        f"mode 644. Next: chmod 600 {file}"
    ]


def test_a_machine_that_cannot_send_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "apprise" else real(name))
    monkeypatch.setenv(addresses.VARIABLE, "json://there/")

    (found,) = doctor._notify(place.configured())

    assert (found.ok, found.text) == (
        False,
        'addresses (json), and no package apprise. Next: pip install "daystone[notify]"',
    )
