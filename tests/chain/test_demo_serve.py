"""``make demo-serve`` goes on to its end, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.chain.chains import MONDAY, Chain
from tests.chain.conftest import DAY
from tests.support import postgres, redis
from tests.support.checkout import ROOT
from tests.support.patience import PATIENCE
from tests.support.s3 import listens

SCRIPT = ROOT / "examples" / "demo_serve.sh"


def run(tmp_path: Path, *arguments: object, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "BIN": str(Path(sys.executable).parent),
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PATH": path,
    }
    command = ["bash", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)


def test_predictions_are_published_looked_up_and_answered_by_rest_and_everything_is_stopped(
    chain: Chain, tmp_path: Path
) -> None:
    postgres._program("initdb"), redis._program()  # root installs them where they are missing

    done = run(tmp_path, chain.root, DAY)

    assert done.returncode == 0, done.stdout + done.stderr
    for target in ("risk_db", "cache"):
        assert f"{target}: published predictions of {DAY} (500 rows)" in done.stdout
    assert "kind         score" in done.stdout.splitlines()
    assert "kind         fallback, the prior of the model" in done.stdout.splitlines()
    assert f'"date": "{DAY}", "model_date": "{MONDAY}"' in done.stdout
    assert '{"entity": {"customer_id": "C0000000000"}, "kind": "fallback"' in done.stdout
    assert done.stdout.endswith("5. The service and both servers are stopped\n")
    ports = {int(port) for port in re.findall(r"(?:port=|127\.0\.0\.1:)(\d+)", done.stdout)}
    assert len(ports) == 3
    assert not [port for port in ports if listens(port)]


def test_without_the_servers_the_demo_says_how_to_install_them(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "ls", "sort", "tail"):
        (tools / name).symlink_to(
            next(Path(place, name) for place in ("/bin", "/usr/bin") if Path(place, name).exists())
        )

    done = run(tmp_path, tmp_path / "lake", path=str(tools))

    assert done.returncode == 1
    assert "and no redis-server\n" in done.stderr
    assert "Next: Debian: sudo apt-get install postgresql redis-server" in done.stderr
