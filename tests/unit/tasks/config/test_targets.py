"""Targets of publication by their names: what makes one, and what is refused before any server is asked."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.targets import Series
from spark_lib.targets.csv import CsvTarget
from spark_lib.targets.postgres import PostgresTarget
from spark_lib.targets.redis import RedisTarget
from spark_lib.use_case import loading
from tasks.config import resolve, targets
from tasks.config.settings import Settings
from tests.support.checkout import ROOT
from tests.unit.stubs.stublake import LOANS, configure
from tests.unit.targets.own import SqliteTarget

OWN = "tests.unit.targets.own.SqliteTarget"
HIDDEN = "found one that is not shown: it may hold a secret"


def settings() -> Settings:
    return Settings(LOANS, loading.load(LOANS))


def refusal(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    configure(monkeypatch, text)
    with pytest.raises(ConfigurationError) as caught:
        settings().check()
    return str(caught.value)


def test_a_target_of_each_kind_is_made_by_its_name_without_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        monkeypatch,
        "[target.db]\nkind = postgres\nconninfo = host=db.example\nschema = scores\nkeep_hours = 2\n"
        "[target.cache]\nkind = redis\nurl = redis://cache.example\n"
        "[target.files]\nkind = csv\nroot = out\nseparator = ,\n",
    )

    db, cache, files = map(targets.target, ("db", "cache", "files"))

    assert isinstance(db, PostgresTarget)
    assert (db._server.conninfo, db._schema, db._table, db._keep) == (
        "host=db.example",
        "scores",
        "{use_case}_{dataset}",
        timedelta(hours=2),
    )
    assert isinstance(cache, RedisTarget) and cache._keep == timedelta(hours=1)
    assert isinstance(files, CsvTarget) and files._separator == ","


@pytest.mark.parametrize("kind", [OWN, "tests.unit.targets.own:SqliteTarget"])
def test_an_adopters_class_gets_its_settings_as_arguments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    configure(monkeypatch, f"[target.own]\nkind = {kind}\npath = {tmp_path}/scores.sqlite\n")
    settings().check()

    own = targets.target("own")

    assert isinstance(own, SqliteTarget)
    assert own.published(Series("lake", "case", "predictions"), date.min, date.max) == {}


REFUSED = [
    (
        "[target.db]\nconninfo = host=db\n",
        "[target.db] kind: wanted one of csv, postgres, redis, or module.Class; found none. Next: correct it",
    ),
    (
        "[target.db]\nkind = postgre\n",
        "[target.db] kind: wanted one of csv, postgres, redis, or module.Class; found 'postgre' (did you mean 'postgres'?). "
        "Next: correct it",
    ),
    (
        "[target.db]\nkind = postgres\nconinfo = host=db\n",
        "[target.db] coninfo: wanted one of kind, conninfo, schema, table, keep_hours, which postgres has; found an unknown "
        "setting (did you mean 'conninfo'?). Next: correct or remove it",
    ),
    (
        "[target.db]\nkind = postgres\nseparator = ;\n",
        "[target.db] separator: wanted one of kind, conninfo, schema, table, keep_hours, which postgres has; found an unknown "
        "setting. Next: correct or remove it",
    ),
    (
        "[target.cache]\nkind = redis\n",
        "[target.cache] url: wanted a value: redis has no default; found none. Next: set it",
    ),
    (
        "[target.files]\nkind = csv\nroot = out\nseparator = |\n",
        "[target.files] separator: wanted one of ; ,; found '|'. Next: correct it",
    ),
    (
        "[target.cache]\nkind = redis\nurl = redis://h\nkeep_hours = -1\n",
        "[target.cache] keep_hours: wanted a value of at least 0; found -1. Next: correct it",
    ),
    (
        "[target.cache]\nkind = redis\nurl = redis://h\nkeep_hours = long\n",
        "[target.cache] keep_hours: wanted a value of type optionalfloat; found 'long'. Next: correct it",
    ),
    (
        "[target]\nkind = csv\n",
        "[target]: wanted a section of a target; found one of all targets. Next: name the target: [target.NAME]",
    ),
    (
        "[target.risk.db]\nkind = csv\n",
        "[target.risk.db]: wanted a name of letters, digits, _ and -; found 'risk.db'. Next: name the target otherwise",
    ),
    (
        "[target.files]\nkind = csv\nroot = out\n[publication]\ntargets = file\n",
        "[publication] targets: wanted one of files; found 'file' (did you mean 'files'?). Next: correct it, or add a section "
        "[target.file]",
    ),
    (
        "[publication]\ntargets = db\n",
        "[publication] targets: wanted a target that is configured; found 'db'. Next: correct it, or add a section [target.db]",
    ),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_a_setting_that_cannot_work_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    assert refusal(monkeypatch, text) == words


PASSWORDS = [
    (
        "[target.db]\nkind = postgres\nconninfo = host=db password=hush\n",
        f"[target.db] conninfo: wanted a value without a password; {HIDDEN}. Next: put the password into the file of "
        "PGPASSFILE or into PGPASSWORD",
    ),
    (
        "[target.db]\nkind = postgres\nconninfo = postgresql://me:hush@db/risk\n",
        f"[target.db] conninfo: wanted a value without a password; {HIDDEN}. Next: put the password into the file of "
        "PGPASSFILE or into PGPASSWORD",
    ),
    (
        "[target.db]\nkind = postgres\npassword = hush\n",
        f"[target.db] password: wanted a value without a password; {HIDDEN}. Next: put the password into the file of "
        "PGPASSFILE or into PGPASSWORD",
    ),
    (
        "[target.cache]\nkind = redis\nurl = redis://:hush@cache\n",
        f"[target.cache] url: wanted a value without a password; {HIDDEN}. Next: put the password into REDISCLI_AUTH",
    ),
    (
        f"[target.own]\nkind = {OWN}\npath = x\napi_token = hush\n",
        f"[target.own] api_token: wanted a value without a password; {HIDDEN}. Next: let the class read the password from the "
        "environment",
    ),
]


@pytest.mark.parametrize(("text", "words"), PASSWORDS)
def test_a_password_in_a_file_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    assert refusal(monkeypatch, text) == words


MADE = [
    (
        "nowhere.Target",
        "[target.own] kind: wanted a class that Python can import; found no module 'nowhere'. Next: correct it, or set "
        "PYTHONPATH",
    ),
    (
        "tests.unit.targets.own.Sqlite",
        "[target.own] kind: wanted a class 'Sqlite' in tests.unit.targets.own; found none. Next: correct it",
    ),
    (
        "pathlib.Path",
        "[target.own] kind: wanted a class with the methods of spark_lib.targets.Target; found none for check, lookup, publish, "
        "published, withdraw. Next: write them",
    ),
    (
        OWN,
        f"[target.own]: wanted the settings that {OWN} takes: (path: 'str') -> 'None'; found missing a required argument: "
        "'path'. Next: correct the settings",
    ),
]


@pytest.mark.parametrize(("kind", "words"), MADE)
def test_an_adopters_class_that_cannot_be_made_is_refused_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    configure(monkeypatch, f"[target.own]\nkind = {kind}\n")
    settings().check()  # other stages of the chain go on

    with pytest.raises(ConfigurationError) as caught:
        targets.target("own")

    assert str(caught.value) == words


def test_an_unknown_target_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[target.cache]\nkind = redis\nurl = redis://h\n")

    with pytest.raises(ConfigurationError) as caught:
        targets.target("cash")

    assert str(caught.value) == (
        "target: wanted one of cache; found 'cash' (did you mean 'cache'?). Next: correct it, or add a section [target.cash]"
    )


def test_a_setting_of_the_command_line_outranks_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[target.files]\nkind = csv\nroot = out\n")
    monkeypatch.setattr(resolve, "_GIVEN", {})
    resolve.give("target.files", "separator", ",")

    made = targets.target("files")

    assert isinstance(made, CsvTarget) and made._separator == ","


def test_targets_are_configured_where_no_driver_is_installed() -> None:
    program = (
        "import sys\n"
        "sys.modules |= {'psycopg': None, 'redis': None}\n"
        "import tasks\n"
        "from luigi.configuration import get_config\n"
        "from spark_lib.errors import ConfigurationError\n"
        "from tasks.config import targets\n"
        "for name, values in (('db', {'kind': 'postgres'}), ('cache', {'kind': 'redis', 'url': 'redis://h'})):\n"
        "    for key, value in values.items():\n"
        "        get_config().set(f'target.{name}', key, value)\n"
        "    try:\n"
        "        targets.target(name).check()\n"
        "    except ConfigurationError as error:\n"
        "        print(error.next_step)\n"
    )

    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert found.stdout.splitlines() == [
        'install it: pip install "daystone[postgres]"',
        'install it: pip install "daystone[redis]"',
    ]


# The lake's name


def test_a_lake_is_known_to_targets_by_its_name_or_else_by_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[lake]\nroot = /data/lake\n")
    unnamed = settings().name_of_lake("/data/lake")
    configure(monkeypatch, "[lake]\nroot = /data/lake\nname = production\n")
    named = settings().name_of_lake("/data/lake")

    assert (unnamed, named) == ("/data/lake", "production")


def test_a_copy_of_a_lake_does_not_publish_in_the_name_of_the_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "[lake]\nroot = /data/lake\nname = production\n")
    monkeypatch.setattr(resolve, "_GIVEN", {})
    with pytest.raises(ConfigurationError) as of_a_task:
        settings().name_of_lake("/data/copy")
    resolve.give("lake", "root", "/data/copy")

    with pytest.raises(ConfigurationError) as of_an_option:
        settings().name_of_lake("/data/copy")
    resolve.give("lake", "name", "trial")

    assert str(of_a_task.value) == (
        "[lake] name: wanted the name of the lake /data/copy; found 'production', which is set for the lake of another [lake] "
        "root. Next: set root and name in one place, or give the name with the root: --set lake.name=NAME"
    )
    assert str(of_an_option.value) == str(of_a_task.value)
    assert settings().name_of_lake("/data/copy") == "trial"
