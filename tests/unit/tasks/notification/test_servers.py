"""Real commands, a real server of mail and a real webhook: what they get, what a kill in the middle leaves, and that no
secret reaches a log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spark_lib.notices import message, sending
from tests.support.messages_sent import Receiver
from tests.support.patience import until
from tests.support.processes import Commands
from tests.unit.verbs import SHORT, STUBBED, Verbs, last_line

pytestmark = pytest.mark.processes

#: The day whose raw data are late: no later one has landed.
LATE = "2026-01-14"
TOKEN = "hush-token-5e1f"


@pytest.fixture
def daystone(tmp_path: Path) -> Verbs:
    found = Verbs(tmp_path)
    found.land("2026-01-01", 13)
    return found


def run(daystone: Verbs, urls: str, day: str = LATE, **more: str) -> tuple[int, str]:
    """``daystone run`` of a day: its exit code and what it says on standard error."""
    result = daystone.stubbed("run", "--date", day, *SHORT, DAYSTONE_NOTIFY_URLS=urls, **more)
    return result.code, result.stderr


def titles(server: Receiver) -> list[str]:
    return [found["title"] for found in server.received]


def test_two_processes_tell_a_cause_once_and_the_end_of_it_once(
    daystone: Verbs, webhook: Receiver, mail: Receiver
) -> None:
    both = f"{webhook.url} {mail.url}"
    codes = [run(daystone, both)[0] for _ in range(2)]
    daystone.land(LATE, 1)
    codes += [run(daystone, both)[0] for _ in range(2)]

    assert codes == [20, 20, 0, 0]
    assert titles(webhook) == titles(mail) == ["Daystone, credit_risk: 1 new", "Daystone, credit_risk: 1 over"]
    assert [found["to"] for found in mail.received] == ["ada@mail.example"] * 2
    assert f"- raw/applications of {LATE} is late: raw feed applications of {LATE}: wanted " in mail.received[0]["body"]


def test_two_processes_at_once_tell_a_cause_once(daystone: Verbs, webhook: Receiver) -> None:
    command = [sys.executable, "-c", STUBBED, "run", "--lake-root", str(daystone.root), "--date", LATE, *SHORT]
    environment = daystone.environment | {"DAYSTONE_NOTIFY_URLS": webhook.url}

    processes = [
        subprocess.Popen(
            command,
            cwd=daystone.home,
            env=Commands(daystone.home).environment(env=environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    codes = [process.wait() for process in processes]

    assert codes == [20, 20]
    told = [line for found in webhook.received for line in found["body"].splitlines() if line.startswith("- ")]
    assert len(told) == 1


def test_plain_luigi_tells_too(daystone: Verbs, webhook: Receiver) -> None:
    result = Commands(daystone.home).luigi(
        *("--module", "tests.unit.stubs.quick", "BatchInference", "--date", LATE, "--lake-root", daystone.root),
        *("--training-window-days", "7", "--training-label-delay-days", "2"),
        env=daystone.environment | {"DAYSTONE_NOTIFY_URLS": webhook.url},
    )

    assert result.code == 20
    assert titles(webhook) == ["Daystone, credit_risk: 1 new"]


def test_a_backfill_tells_all_its_days_in_one_message(daystone: Verbs, webhook: Receiver) -> None:
    (daystone.root / "credit_risk/raw/applications/date=2026-01-12/unreadable").touch()

    result = daystone.stubbed(
        "backfill", "--from", "2026-01-10", "--to", LATE, "--stage", "features", DAYSTONE_NOTIFY_URLS=webhook.url
    )

    assert result.code != 0
    (told,) = webhook.received
    lines = told["body"].splitlines()
    assert [line.partition(": ")[0] for line in lines if line.startswith("- ")] == [
        "- features of 2026-01-12 has failed",
        "- features of 2026-01-13 has failed",
        f"- raw/applications of {LATE} is late",
    ]


@pytest.mark.parametrize("kind", ["webhook", "smtp"])
def test_a_server_that_is_killed_in_the_middle_costs_a_warning_and_is_told_by_the_next_run(
    daystone: Verbs, webhook: Receiver, mail: Receiver, kind: str
) -> None:
    server = {"webhook": webhook, "smtp": mail}[kind]
    server.hold()
    command = [sys.executable, "-c", STUBBED, "run", "--lake-root", str(daystone.root), "--date", LATE, *SHORT]
    environment = daystone.environment | {"DAYSTONE_NOTIFY_URLS": server.url}
    with subprocess.Popen(
        command,
        cwd=daystone.home,
        env=Commands(daystone.home).environment(env=environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: server.received)
        server.kill()
        _, said = process.communicate()
    server.start()
    server.forget()

    code, after = run(daystone, server.url)

    warnings = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert process.returncode == code == 20
    assert len(warnings) == 1
    assert "address 1 of 1" in warnings[0]
    assert said.splitlines()[-1].startswith("Error: raw feed ")
    assert "warning: " not in after
    assert titles(server) == ["Daystone, credit_risk: 1 new"]


def test_a_server_that_never_answers_is_given_up(daystone: Verbs, webhook: Receiver) -> None:
    webhook.hold()

    result = daystone.stubbed(
        *("run", "--date", LATE, *SHORT, "--set", "notify.timeout_seconds=2"),
        DAYSTONE_NOTIFY_URLS=f"{webhook.url}?rto=600",
    )

    assert result.code == 20
    assert "found no answer within 2 s. Next: try the server, or raise [notify] timeout_seconds" in result.stderr


def test_a_run_exits_as_it_would_without_a_notifier(daystone: Verbs) -> None:
    built = run(daystone, "json://127.0.0.1:1/nobody", "2026-01-13")
    late = run(daystone, "json://127.0.0.1:1/nobody")

    assert (built[0], "warning: " in built[1]) == (0, False)
    assert (late[0], "warning: " in late[1]) == (20, True)


def test_no_secret_reaches_a_terminal_or_a_log(daystone: Verbs, webhook: Receiver) -> None:
    password = f"json://ada:{TOKEN}@127.0.0.1:{webhook.port}/{TOKEN}"
    dead = f"json://ada:{TOKEN}@127.0.0.1:1/{TOKEN}"

    code, said = run(daystone, f"{password} {dead} slack://{TOKEN}/ nonsense://{TOKEN}")

    assert code == 20
    assert TOKEN not in said + daystone.log
    assert "address 2 of 4 (json)" in said
    assert titles(webhook) == ["Daystone, credit_risk: 1 new"]
    assert not any(TOKEN in path.read_text() for path in daystone.root.rglob("*") if path.is_file())


def test_a_private_file_of_addresses_is_read(daystone: Verbs, webhook: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "addresses"
    file.write_text(f"# the webhook of the team\n{webhook.url}\n")
    file.chmod(0o600)

    result = daystone.stubbed("notify", "--test", "--set", f"notify.urls_file={file}")

    assert (result.code, result.stdout) == (0, "address 1 of 1 (json): sent\n")
    assert webhook.received[0]["body"] == (
        f"This address is told when something is wrong.\nlake: {daystone.root}\nuse case: credit_risk"
    )


def test_the_test_message_exits_with_58_where_an_address_does_not_take_it(daystone: Verbs, webhook: Receiver) -> None:
    webhook.refuse(401)

    result = daystone("notify", "--test", DAYSTONE_NOTIFY_URLS=f"{webhook.url} nonsense://there")

    assert result.code == 58
    assert result.stdout.splitlines() == [
        "address 1 of 2 (json): it was refused, or nobody answered (status 401)",
        "address 2 of 2 (nonsense): no address that Apprise understands",
    ]
    assert last_line(result) == (
        "Error: address 1 of 2 (json): wanted to send a message; found it was refused, or nobody answered (status 401). "
        "Next: try the server, and look whether the address is still right (daystone notify --test)"
    )


def test_the_test_message_without_an_address_is_refused(daystone: Verbs) -> None:
    result = daystone("notify", "--test")

    assert (result.code, last_line(result)) == (
        31,
        "Error: [notify]: wanted an address that is told when something is wrong; found none. Next: set [notify] urls, the "
        "environment's DAYSTONE_NOTIFY_URLS, or [notify] urls_file",
    )


def test_without_an_address_nothing_is_imported_and_nothing_is_asked(daystone: Verbs) -> None:
    source = (
        "import sys; from tests.unit.stubs import chain; chain.install(); import run\n"
        "try:\n    run.main(sys.argv[1:])\n"
        "except SystemExit:\n    print(*sorted(n for n in sys.modules if 'notices' in n or n == 'apprise' or n.endswith('.telling')))"
    )

    result = Commands(daystone.home).python(
        source, "run", "--lake-root", daystone.root, "--date", LATE, *SHORT, env=daystone.environment
    )

    assert result.stdout.split() == []
    assert not (daystone.root / "credit_risk" / "notices").exists()


def test_a_machine_without_apprise_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apprise.py").write_text("raise ModuleNotFoundError(name='apprise')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    (error,) = sending.send(message.test("loans", "lake"), ["json://there"], ["address 1"], 60).values()

    assert str(error) == (
        'address 1: wanted to send a message; found no package apprise. Next: pip install "daystone[notify]"'
    )
