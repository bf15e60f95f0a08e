"""Checks, one by one, what a machine, a configuration and a lake must have before the chain can run. Spark is started
only where executors are to be asked too.
"""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import luigi
from luigi.configuration import get_config

from spark_lib import __version__
from spark_lib.errors import ConfigurationError, DaystoneError
from spark_lib.lake import is_s3
from spark_lib.lake.feeds import landed
from spark_lib.lake.stores import s3_client
from spark_lib.session import environment, java, jvm
from tasks.cli import run as runner
from tasks.cli.place import Place, configured
from tasks.config import addresses, check, defaults, luigi_settings, resolve, sections, targets
from tasks.config import files as config_files
from tasks.config.shown import OF_LUIGI, shown
from tasks.graph import sessions

_NAME = re.compile(r"[\w.-]+")
PYTHONS = ((3, 11), (3, 12), (3, 13))


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is as it should be, and what was found or is to be done."""

    what: str
    ok: bool
    text: str


def examine(spark: bool = False) -> Iterator[Finding]:
    """Yield every finding, in the order in which one would repair them. With ``spark`` a session is started, and its
    executors are asked too.
    """
    yield _python()
    yield from _told("java", _java)
    yield from _packages()
    refused = _refused()
    place = None if refused else _place()
    unusable = [place] if isinstance(place, DaystoneError) else []
    yield from _configuration({error.where for error in (*refused, *unusable)})
    yield from (Finding("configuration", False, str(error)) for error in refused)
    if place is None:
        return  # the checks below need a usable configuration
    yield from _told("log", lambda: [Finding("log", True, str(resolve.log_file()))])
    yield from _told("scheduler", _scheduler)
    if isinstance(place, Exception):
        yield _unusable(place)
        return
    yield Finding("use case", True, f"{place.use_case} ({type(place.case).__module__}:{type(place.case).__name__})")
    yield from _settings(place)
    yield from _told("environment", lambda: _environment(place))
    if addresses.is_configured(place.settings.notify):
        yield from _told("notify", lambda: _notify(place))
    server = _told("s3", lambda: _server(place))
    yield from server
    if not all(finding.ok for finding in server):
        return  # the checks below would ask the same server
    yield from _told("lake", lambda: _lake(place))
    if spark:
        yield from _told("executors", lambda: _executors(place))
    for feed in place.feeds:
        yield from _told(f"raw {feed}", partial(_server_of_feed, place, feed))
        yield from _told(f"raw {feed}", partial(_feed, place, feed))
    for name in targets.names():
        yield from _told(f"target {name}", partial(_target, place, name))


def _told(what: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What ``look`` finds. An error of ours becomes a finding that says what is to be done."""
    try:
        return look()
    except DaystoneError as error:
        return [Finding(what, False, str(error))]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in PYTHONS:
        return Finding("python", True, f"{version} ({sys.executable})")
    wanted = ", ".join(".".join(map(str, python)) for python in PYTHONS)
    return Finding(
        "python", False, f"{version} ({sys.executable}). Next: install one of {wanted}, and Daystone into it"
    )


def _java() -> list[Finding]:
    found = java.find()
    archive = jvm.archive(found.build)
    if archive:
        start = f"Spark's classes are archived in {archive}"
    else:
        start = (
            "no archive of Spark's classes: `python -m spark_lib.session.startup` makes one, and sessions start sooner"
        )
    return [
        Finding("java", True, f"{found.version} ({found.path}, by {found.found_by})"),
        Finding("start-up", True, start),
    ]


def _packages() -> Iterator[Finding]:
    """Yield the versions of the packages that Daystone says it needs where it was installed."""
    try:
        required = importlib.metadata.requires("daystone") or []
    except importlib.metadata.PackageNotFoundError:
        where = Path(__file__).parents[2]
        text = f"daystone {__version__} is used from {where} and is not installed: nobody says which packages it needs"
        yield Finding("packages", False, f"{text}. Next: pip install {where}")
        return
    there, missing = [f"daystone {__version__}"], []
    for name in (_NAME.findall(one)[0] for one in required if "extra ==" not in one):
        try:
            there.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", True, ", ".join(there))
    if missing:
        yield Finding("packages", False, f"no {', '.join(missing)}. Next: pip install {' '.join(missing)}")


def _place() -> Place | Exception:
    """The use case and the lake, or the error because of which they cannot be used."""
    try:
        return configured()
    except Exception as error:
        return error


def _unusable(error: Exception) -> Finding:
    if isinstance(error, DaystoneError):
        return Finding("use case", False, str(error))
    text = f"{resolve.default_use_case()} cannot be imported: {type(error).__name__}: {error}"
    return Finding("use case", False, f"{text}. Next: mend its module, or what it imports")


def _configuration(refused: set[str]) -> Iterator[Finding]:
    """Yield the files that were read, and every value that is not a default. The places in ``refused`` are left out."""
    files = defaults.read_files()
    later = " (later ones win)" if len(files) > 1 else ""
    yield Finding("configuration", True, ", ".join(files) + later if files else "no file, defaults only")
    parser = get_config()
    for section in parser.sections():
        if section.partition(".")[0] not in (*sections.SECTIONS, *OF_LUIGI):
            continue
        for key in parser.options(section):
            value = parser.get(section, key, "", raw=True).replace("%%", "%")
            if refused & {f"[{section}] {key}", f"--set {section}.{key}"}:
                continue
            if key not in parser.defaults() and not _is_default(section, key, value):
                found = f"[{section}] {key} = {shown(section, key, value)}, from {_origin(files, section, key)}"
                yield Finding("configuration", True, found)


def _refused() -> list[ConfigurationError]:
    """All that is wrong with the files, and with each value of ours or of Luigi's taken alone."""
    files = config_files.refusals(defaults.files())
    return [*files, *check.refused_values(), *luigi_settings.refusals()]


def _settings(place: Place) -> Iterator[Finding]:
    for setting, value in place.case.settings.items():
        section, _, key = setting.rpartition(".")
        found = f"[{section}] {key} = {shown(section, key, resolve.text_of(value))}, from the use case unless set above"
        yield Finding("configuration", True, found)


def _is_default(section: str, key: str, value: str) -> bool:
    if defaults.DEFAULTS.get(section, {}).get(key) == value:
        return True
    family = sections.SECTIONS.get(section)
    parameters = dict(family.get_params()) if family else {}
    return key in parameters and str(parameters[key]._default) == value


def _origin(files: list[str], section: str, key: str) -> str:
    """Where a value comes from: an option of the command line, the last file that has it, or code."""
    if resolve.given(section, key):
        return "the command line"
    found = ""
    for file in files:
        parser = configparser.RawConfigParser()
        parser.optionxform = str  # type: ignore[assignment, method-assign]  # as configparser documents it
        parser.read(file)
        if parser.has_option(section, key) or parser.has_option(section, key.replace("_", "-")):
            found = file
    return found or "code"


def _scheduler() -> list[Finding]:
    if luigi.interface.core().local_scheduler:
        return [Finding("scheduler", True, "inside the process ([core] local_scheduler)")]
    runner.find_scheduler()
    return [Finding("scheduler", True, f"luigid at {runner.scheduler_url()} answers")]


def _environment(place: Place) -> list[Finding]:
    """Raise for a variable that would break a Spark session or change it. Otherwise say which variables a session does
    not see.
    """
    master = place.settings.spark.master
    environment.check(master)
    kept = environment.kept_from(master)
    found = (
        f"Spark starts without {', '.join(kept)}" if kept else "nothing in it that Spark would have to start without"
    )
    return [Finding("environment", True, found)]


def _server(place: Place) -> list[Finding]:
    """The S3 server that would be asked for the lake and for feeds without one of their own, and who named it; nothing
    where none of these lies on S3. Raises ConfigurationError for what names the server of a feed, too."""
    lake = place.settings.connection
    if all(way.connection != lake for way in place.settings.ways(place.partitions.root).values()):
        return []
    return [Finding("s3", True, _reached(lake))]


def _server_of_feed(place: Place, name: str) -> list[Finding]:
    """The same of a feed on S3 that has a server or a profile of its own."""
    feed = place.feeds[name]
    if feed.connection is None or not is_s3(feed.directory(place.settings.first_date)):
        return []
    return [Finding(f"raw {name}", True, _reached(feed.connection))]


def _reached(connection: s3_client.Connection) -> str:
    server = s3_client.server(connection)
    endpoint = f"{server.endpoint.value}, by {server.endpoint.by}" if server.endpoint.by else "AWS's own"
    by = f", by {server.region.by}" if server.region.by else ""
    method, profile = s3_client.credentials_by(connection), connection.profile
    credentials = f"credentials by {method}" if method else "no credentials"
    of_profile = f" of the profile {profile.value!r}, by {profile.by}" if profile.value else ""
    return f"{endpoint}; region {server.region.value}{by}; {credentials}{of_profile}"


def _lake(place: Place) -> list[Finding]:
    place.partitions.store.probe()
    return [Finding("lake", True, f"{place.partitions.root} can be written and published to")]


def _executors(place: Place) -> list[Finding]:
    from spark_lib.session import executors

    started = sessions.start(place.settings, place.partitions.root)
    there = executors.prove(started, place.partitions.root)
    return [Finding("executors", True, f"of {started.sparkContext.master}: {there}")]


def _notify(place: Place) -> list[Finding]:
    """Who is told when something is wrong, by the schemes of the addresses. Nothing is sent."""
    schemes = ", ".join(
        addresses.scheme_of(url)
        for url in addresses.of(place.settings.notify, place.settings.said_by("notify", "urls_file"))
    )
    if importlib.util.find_spec("apprise") is None:
        text = f'addresses ({schemes}), and no package apprise. Next: pip install "daystone[notify]"'
        return [Finding("notify", False, text)]
    return [Finding("notify", True, f"addresses ({schemes}); daystone notify --test sends to them")]


def _feed(place: Place, name: str) -> list[Finding]:
    feed = place.feeds[name]
    newest = landed.newest(feed)
    if newest:
        return [Finding(f"raw {name}", True, f"newest landed day {newest} ({feed.directory(newest)})")]
    looked_for = feed.flag_url(place.settings.first_date)
    text = f"no day has landed; looked for flags like {looked_for}. Next: land one, set [raw.{name}] path, or `daystone sample`"
    return [Finding(f"raw {name}", False, text)]


def _target(place: Place, name: str) -> list[Finding]:
    """Whether days can be published to a target. Its server is asked."""
    kind = targets.kind_of(name)
    place.settings.target(name).check()
    return [Finding(f"target {name}", True, f"days can be published to it ({kind})")]
