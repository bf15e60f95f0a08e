"""Two use cases on S3 at one moment, with luigid, Spark's pages and event logs, and all that could be seen of them."""

from __future__ import annotations

import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from tests.chain import visits
from tests.chain.chains import FEW_DAYS, MONDAY, Chain, Running, ended, write_sample
from tests.chain.luigids import Luigid, page, running_luigid
from tests.support import s3
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.patience import PATIENCE
from tests.support.processes import ROOT, Commands, Result, listening

#: Where the sample's run is, as far as can be from that of the lake on disk, on one core, and scored by Spark and not by
#: processes of the driver: it must not matter.
_WEST = {"TZ": "America/Los_Angeles"}
_ON_ONE_CORE = "master = local[1]\nshuffle_partitions = 3\nscores_from_mb = 0\n"
#: The use cases by their directory in the lake, each with what it says of itself: the sample, and an adopter's with CSV feeds.
CASES = {"credit_risk": ("credit_risk", FEW_DAYS), "churn": ("churn.Churn", "")}
_SPARKS_PAGES = ("/environment/", "/executors/", "/jobs/", "/api/v1/applications")
_LUIGIDS_PAGES = ("/static/visualiser/index.html", "/history")


@dataclass
class Observed:
    """Runs that went well, and what was seen while they ran: ``pages`` by what they are, ``commands`` as ps shows them, and
    the ``addresses`` on which their processes listened."""

    chains: dict[str, Chain]
    luigid: Luigid
    proxy: FaultProxy
    bucket: str
    results: dict[str, Result] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    commands: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    #: Requests to S3 by what made them.
    requests: dict[str, list[tuple[str, str, bytes]]] = field(default_factory=dict)
    #: What luigid knew at the end of every task, and of each use case's graph.
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    graphs: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    #: (stage, message) pairs that luigid had while they ran.
    messages: set[tuple[str, str]] = field(default_factory=set)
    #: Pages behind tracking URLs, fetched while their task ran.
    tracked: dict[str, str] = field(default_factory=dict)

    @property
    def chain(self) -> Chain:
        """The sample's."""
        return self.chains["credit_risk"]

    def task(self, case: str, family: str, day: str = MONDAY) -> dict[str, Any]:
        """What luigid knew of a task at the end."""
        use_case = "churn:Churn" if case == "churn" else case
        (found,) = (
            task
            for task in self.tasks.values()
            if (task["name"], task["params"].get("use_case"), task["params"]["date"]) == (family, use_case, day)
        )
        return found

    def daystone(self, *verb: str) -> Result:
        """A verb on the same lake."""
        environment = {
            **self.proxy.server.environment,
            **{f"XDG_{name}_HOME": str(self.chain.scratch / name.lower()) for name in ("STATE", "CACHE")},
        }
        command = [sys.executable, str(ROOT / "run.py"), *verb, "--lake-root", self.chain.url]
        return Commands(self.chain.scratch).run(command, config=FEW_DAYS, env=environment, timeout=PATIENCE)

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """All that a run leaves or shows, by the place where it is."""
        yield from ((url, text.encode()) for url, text in self.pages.items())
        yield from ((f"command {command[:40]}", command.encode()) for command in self.commands)
        for left in (*(chain.left() for chain in self.chains.values()), self.luigid.home.rglob("*")):
            for path in left:
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
    """Land small days, run every stage on the sample's and ``BatchInference`` on the adopter's at once, and watch."""
    write_sample(home / "sample", days=26, rows_per_day=500)
    visits.land(home / "landing")
    bucket = server.new_bucket()
    server.upload(home / "sample" / "credit_risk" / "raw", bucket, "lake/credit_risk/raw")
    (home / "luigid").mkdir()
    with fault_proxy(server) as proxy, running_luigid(home / "luigid") as luigid, pytest.MonkeyPatch.context() as patch:
        proxy.server.reach(patch)
        chains = {
            name: Chain(home, home / name, directory, url=f"s3://{bucket}/lake", own=own)
            for name, (directory, own) in CASES.items()
        }
        seen = Observed(chains, luigid, proxy, bucket)
        config = {name: f"{luigid.configuration()}{_watchable(chain.scratch)}" for name, chain in chains.items()}
        config["credit_risk"] += _ON_ONE_CORE
        config["churn"] += "master = local[2]\n" + visits.configuration(home / "landing")
        running = {
            "credit_risk": chains["credit_risk"].start(
                "Everything", "--date", MONDAY, module="everything", config=config["credit_risk"], env=_WEST
            ),
            "churn": chains["churn"].start("BatchInference", "--date", MONDAY, config=config["churn"]),
        }
        with ended(*running.values()):
            _watch(seen, running)
            seen.results = {name: one.wait() for name, one in running.items()}
        for name, result in seen.results.items():
            assert result.code == 0, f"{name}: exit {result.code}\n{result.stderr[-5_000:]}"
        seen.requests["run"] = list(proxy.requests)
        seen.tasks = luigid.tasks()
        for task_id, task in seen.tasks.items():
            if task["name"] == "BatchInference":
                seen.graphs[task["params"]["use_case"]] = luigid.ask("dep_graph", task_id=task_id)
        yield seen


def _watchable(scratch: Path) -> str:
    """Configuration of a run with a cache where a test finds it, and of a Spark that writes its event log: more of Spark's
    section may follow."""
    (scratch / "events").mkdir()
    conf = (
        '{"spark.eventLog.enabled": "true", "spark.eventLog.compress": "false", '
        f'"spark.eventLog.dir": "file://{scratch}/events"}}'
    )
    return f"[lake]\ncache = {scratch}/cache\n[spark]\nconf = {conf}\n"


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


def _watch(seen: Observed, running: Mapping[str, Running]) -> None:
    """Look again and again until all have ended. Pages take their time, and what luigid says in between is not missed."""
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(lambda: None)
        while any(one.process.poll() is None for one in running.values()):
            sparks = _look(seen)
            if fetching.done():
                fetching.result()
                fetching = pool.submit(_fetch, seen, sparks)
            sleep(0.25)
        fetching.result()


def _look(seen: Observed) -> dict[str, str]:
    """Processes, and what luigid says of tasks. Returns where Spark's pages are, by use case."""
    pids = [pid for chain in seen.chains.values() for pid in chain.processes()]
    seen.addresses |= set(listening(pids))
    for pid in pids:
        try:
            seen.commands.add(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended
            continue
    sparks = {}
    for task in seen.luigid.tasks().values():
        if task["status"] != "RUNNING":
            continue
        if task["status_message"]:
            seen.messages.add((task["name"], task["status_message"]))
        if task["tracking_url"]:
            sparks[task["params"]["use_case"]] = task["tracking_url"]
    return sparks


def _fetch(seen: Observed, sparks: Mapping[str, str]) -> None:
    """Spark's pages, as they are now."""
    for use_case, url in sparks.items():
        try:
            if url not in seen.tracked:
                seen.tracked[url] = page(url)
            for path in _SPARKS_PAGES:
                seen.pages[f"Spark of {use_case} {path}"] = page(f"{url}{path}")
            (application,) = re.findall(r'"id" : "(\S+)"', seen.pages[f"Spark of {use_case} /api/v1/applications"])
            for what in ("environment", "allexecutors", "jobs"):
                path = f"/api/v1/applications/{application}/{what}"
                seen.pages[f"Spark of {use_case} {what}"] = page(f"{url}{path}")
        except OSError:
            continue  # not up yet, busy, or ended meanwhile
