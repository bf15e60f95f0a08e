"""Runs an unpacked image as a container does: its files are all that there is, its user has no rights, and there is no
network but the loopback of its own.

    python -m tests.support.container ROOT  < what is asked, as JSON

It is run inside of a network namespace, which ``asked`` makes.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE

_SIOCSIFFLAGS, _UP = 0x8914, 0x1


def asked(root: Path, config: Mapping[str, Any], requests: Sequence[tuple[str, str, Any]], **environment: str) -> Any:
    """Start the image below ``root``, ask it, and stop it. ``requests`` are a method, a path, and rows or None. The answer has
    ``answers``, each with its status and its text, the number ``user`` of its user, the ``interfaces`` of its network, the
    exit ``code`` after SIGTERM, and what it ``said``."""
    question = {"config": config["config"], "requests": list(requests), "environment": environment}
    away = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    done = subprocess.run(
        [*away, sys.executable, "-m", "tests.support.container", str(root)],
        input=json.dumps(question),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _main(root: str) -> None:
    question = json.load(sys.stdin)
    _bring_loopback_up()
    environment = dict(each.partition("=")[::2] for each in question["config"]["Env"]) | question["environment"]
    # Where nobody is root, no other user can be taken on.
    user = (
        [f"--userspec={question['config']['User']}"] if Path("/proc/self/uid_map").read_text().split()[2] != "1" else []
    )
    command = ["chroot", *user, root, *question["config"]["Entrypoint"]]
    with subprocess.Popen(command, env=environment | {"PATH": os.environ["PATH"]}, stderr=subprocess.PIPE) as process:
        try:
            found = _asked(process, question["requests"], int(environment.get("DAYSTONE_SERVE_PORT", "8080")))
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    found |= {"code": process.returncode, "said": said.decode()}
    found["interfaces"] = [
        line.split(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]
    ]
    json.dump(found, sys.stdout)


def _asked(process: subprocess.Popen[bytes], requests: Sequence[tuple[str, str, Any]], port: int) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and not _listens(port):
        assert time.monotonic() < deadline, "the service does not listen"
        time.sleep(0.02)
    if process.poll() is not None:
        return {"answers": []}
    user = Path(f"/proc/{process.pid}").stat().st_uid
    return {"answers": [_answer(port, *request) for request in requests], "user": user}


def _answer(port: int, method: str, path: str, rows: Any) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, None if rows is None else json.dumps(rows), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP))


if __name__ == "__main__":
    _main(sys.argv[1])
