"""One run of the whole chain on S3 with luigid, Spark's page and its event log, and all that could be seen of it."""

from __future__ import annotations

import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from tests import s3
from tests.chain.chains import Chain, ended, write_sample
from tests.chain.luigids import Luigid, page, running_luigid
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.processes import ROOT, Commands, Result, listening

MONDAY = "2026-01-26"  # the first with 4 days of window and 21 of delay behind it
SMALL = "[training]\nwindow_days = 4\nmin_positives = 100\n"
_SPARKS_PAGES = ("/environment/", "/executors/", "/jobs/", "/api/v1/applications")
_LUIGIDS_PAGES = ("/static/visualiser/index.html", "/history")


@dataclass
class Observed:
    """A run that went well, and what was seen while it ran: ``pages`` by url, ``commands`` as ps shows them, and the
    ``addresses`` on which its processes listened."""

    chain: Chain
    luigid: Luigid
    proxy: FaultProxy
    bucket: str
    result: Result
    pages: dict[str, str] = field(default_factory=dict)
    commands: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    #: Requests to S3 by what made them.
    requests: dict[str, list[tuple[str, str, bytes]]] = field(default_factory=dict)

    def daystone(self, *verb: str) -> Result:
        """A verb on the same lake."""
        environment = {
            **self.proxy.server.environment,
            **{f"XDG_{name}_HOME": str(self.chain.scratch / name.lower()) for name in ("STATE", "CACHE")},
        }
        command = [sys.executable, str(ROOT / "run.py"), *verb, "--lake-root", self.chain.url]
        return Commands(self.chain.scratch).run(command, config=SMALL, env=environment, timeout=300)

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """All that a run leaves or shows, by the place where it is."""
        yield from ((url, text.encode()) for url, text in self.pages.items())
        yield from ((f"command {command[:40]}", command.encode()) for command in self.commands)
        for home in (self.chain.scratch, self.luigid.home):
            for path in home.rglob("*"):
                yield f"path {path}", os.fsencode(path)
                if path.is_file():
                    yield str(path), path.read_bytes()
        for url, text in luigids_pages(self.luigid):
            yield url, text.encode()
        client = self.proxy.server.client()
        for listed in client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for item in listed.get("Contents", []):
                key = item["Key"]
                answer = client.get_object(Bucket=self.bucket, Key=key)
                yield f"key {key}", key.encode()
                yield f"object {key}", answer["Body"].read() + repr(answer["Metadata"]).encode()


@contextmanager
def observe(server: s3.Server, home: Path) -> Iterator[Observed]:
    """Land small days, run ``BatchInference`` on them, and watch."""
    write_sample(home / "sample", days=26, rows_per_day=500)
    bucket = server.new_bucket()
    server.upload(home / "sample" / "credit_risk" / "raw", bucket, "lake/credit_risk/raw")
    (home / "luigid").mkdir()
    with fault_proxy(server) as proxy, running_luigid(home / "luigid") as luigid, pytest.MonkeyPatch.context() as patch:
        proxy.server.reach(patch)
        chain = Chain(home, home / "scratch", url=f"s3://{bucket}/lake")
        (home / "scratch" / "events").mkdir()
        conf = (
            '{"spark.eventLog.enabled": "true", "spark.eventLog.compress": "false", '
            f'"spark.eventLog.dir": "file://{home}/scratch/events"}}'
        )
        own = f"{luigid.configuration()}[spark]\nmaster = local[2]\nconf = {conf}\n[lake]\ncache = {home}/scratch/cache\n{SMALL}"
        running = chain.start("BatchInference", "--date", MONDAY, config=own)
        seen = Observed(chain, luigid, proxy, bucket, Result(-1, "", ""))
        with ended(running):
            while running.process.poll() is None:
                _look(seen)
                sleep(0.2)
            seen.result = running.wait()
        assert seen.result.code == 0, seen.result.stderr[-5_000:]
        seen.requests["run"] = list(proxy.requests)
        yield seen


def luigids_pages(luigid: Luigid) -> Iterator[tuple[str, str]]:
    """Its pages, and its answers to everything that its page asks."""
    asked: dict[str, dict[str, Any]] = {
        "task_list": {"status": "", "upstream_status": "", "limit": False},
        "worker_list": {},
        "resource_list": {},
        "task_search": {"task_str": "2026"},
    }
    for task in luigid.tasks():
        yield f"luigid fetch_error {task}", repr(luigid.ask("fetch_error", task_id=task))
        yield f"luigid dep_graph {task}", repr(luigid.ask("dep_graph", task_id=task))
        yield f"luigid inverse_dep_graph {task}", repr(luigid.ask("inverse_dep_graph", task_id=task))
    for method, arguments in asked.items():
        yield f"luigid {method}", repr(luigid.ask(method, **arguments))
    for path in _LUIGIDS_PAGES:
        try:
            yield f"luigid {path}", page(luigid.url + path)
        except urllib.error.HTTPError as error:  # no history is kept
            yield f"luigid {path}", error.read().decode()


def _look(seen: Observed) -> None:
    pids = seen.chain.processes()
    seen.addresses |= set(listening(pids))
    for pid in pids:
        try:
            seen.commands.add(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended
            continue
    for task in seen.luigid.tasks().values():
        url = task["tracking_url"]
        if task["status"] != "RUNNING" or not url:
            continue
        try:
            for path in _SPARKS_PAGES:
                seen.pages[f"Spark {path}"] = page(f"{url}{path}")
            (application,) = re.findall(r'"id" : "(\S+)"', seen.pages["Spark /api/v1/applications"])
            for what in ("environment", "allexecutors", "jobs"):
                path = f"/api/v1/applications/{application}/{what}"
                seen.pages[f"Spark {what}"] = page(f"{url}{path}")
        except OSError:
            continue  # not up yet, busy, or ended meanwhile
