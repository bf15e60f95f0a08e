"""A secret of the configuration reaches no message."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.use_case import loading
from tasks.cli import doctor
from tasks.cli.place import configured
from tasks.config import resolve, shown
from tasks.config.settings import Settings
from tasks.planning import commands
from tests.unit.stubs.stages import Leaf
from tests.unit.stubs.stublake import LOANS, configure

HIDDEN = "found one that is not shown: it may hold a secret"


@pytest.mark.parametrize(
    ("section", "key", "value", "text"),
    [
        ("training", "trees", "20", "20"),
        ("spark", "conf", '{"a.key": "hush", "b": "hush"}', "a.key, b (values not shown)"),
        ("spark.credit_risk", "conf", '{"a.key": "hush"}', "a.key (values not shown)"),
        ("spark", "conf", '["hush"]', "(not shown: it is no JSON object)"),
        ("spark", "conf", '{"hush', "(not shown: it is no JSON object)"),
        ("spark", "conf", "5", "(not shown: it is no JSON object)"),
        ("core", "default-scheduler-url", "http://me:hush@host:8082/", "http://host:8082/"),
        ("lake", "endpoint", "http://me:hu@sh@host", "http://host"),
        ("core", "smtp_password", "hush", "(not shown)"),
        ("smtp", "host", "hush", "(not shown)"),
        ("target.db", "conninfo", "host=db password=hush user=me", "host=db password=... user=me"),
        ("target.db", "conninfo", "host=db Password = 'hush it' user=me", "host=db Password = ... user=me"),
        (
            "target.db",
            "conninfo",
            "postgresql://db/risk?password=hush&user=me",
            "postgresql://db/risk?password=...&user=me",
        ),
        ("target.own", "api_key", "hush", "(not shown)"),
    ],
)
def test_only_what_is_no_secret_is_shown(section: str, key: str, value: str, text: str) -> None:
    assert shown.shown(section, key, value) == text


@pytest.mark.parametrize(
    ("conf", "wanted"),
    [
        ('{"spark.hadoop.fs.s3a.secret.key": hush}', "a value of type dict"),
        ('{"spark.hadoop.fs.s3a.secret.key": "%hush"}', "a value that Luigi can read"),
    ],
    ids=["no JSON", "a single percent sign"],
)
def test_a_refused_conf_is_not_shown(monkeypatch: pytest.MonkeyPatch, conf: str, wanted: str) -> None:
    configure(monkeypatch, f"[spark]\nconf = {conf}\n")

    with pytest.raises(ConfigurationError) as caught:
        Settings(LOANS, loading.load(LOANS)).check()

    assert str(caught.value).partition(". Next: ")[0] == f"[spark] conf: wanted {wanted}; {HIDDEN}"


def test_commands_to_follow_leave_secrets_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configure(monkeypatch, f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n")
    monkeypatch.setattr(resolve, "_GIVEN", {})
    stage = Leaf(date=date(2026, 1, 1))
    for section, key, value in (
        ("training", "trees", "3"),
        ("spark", "conf", '{"spark.hadoop.fs.s3a.secret.key": "hush"}'),
        ("lake", "endpoint", "http://me:hush@host:9000"),
        ("smtp", "password", "hush"),
    ):
        resolve.give(section, key, value)

    assert commands.options(stage) == (
        " --set training.trees=3 --set spark.conf=... --set lake.endpoint=http://host:9000 --set smtp.password=..."
    )


def test_doctor_leaves_out_secrets_of_a_use_cases_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configure(monkeypatch, f"[lake]\nroot = {tmp_path}\n[pipeline]\nuse_case = {LOANS}\n")
    place = configured()
    settings: dict[str, Any] = {"training.trees": 3, "spark.conf": {"spark.hadoop.fs.s3a.secret.key": "hush"}}
    monkeypatch.setattr(type(place.case), "settings", settings)

    found = [finding.text for finding in doctor._settings(place)]

    assert found == [
        "[training] trees = 3, from the use case unless set above",
        "[spark] conf = spark.hadoop.fs.s3a.secret.key (values not shown), from the use case unless set above",
    ]
