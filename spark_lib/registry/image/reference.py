"""Names of images at a registry, as in ``registry.example.org/team/loans:2026-03-01``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from spark_lib.errors import ConfigurationError

#: How a base is named that lies in a directory.
LAYOUT = "oci:"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"(?P<host>[\w.-]+(?::\d+)?)/(?P<name>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
_DOCKER_HUB, _ITS_REGISTRY = "docker.io", "registry-1.docker.io"
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3})(:\d+)?")


@dataclass(frozen=True)
class Reference:
    """A repository of images at a registry: its host with the port, and its name; the tag or the digest of one image,
    where it names one."""

    host: str
    name: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> Reference:
        """The repository alone."""
        return replace(self, tag="", digest="")

    @property
    def address(self) -> str:
        """Where the registry answers. As for Docker, only one on this machine is asked without TLS."""
        host = _ITS_REGISTRY if self.host == _DOCKER_HUB else self.host
        return f"{'http' if is_loopback(host) else 'https'}://{host}"

    def __str__(self) -> str:
        tag, digest = f":{self.tag}" if self.tag else "", f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.name}{tag}{digest}"


def check_base(spec: str, said_by: str) -> None:
    """Raise ConfigurationError for an ``[image] base`` that names neither an image nor a directory. Nothing is looked up.
    An empty text names this machine's Python."""
    if spec == LAYOUT:
        raise ConfigurationError(said_by, "oci:DIRECTORY", repr(spec), "name the directory of an image")
    if spec and not spec.startswith(LAYOUT):
        parse(spec, said_by)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine."""
    return _LOOPBACK.fullmatch(host) is not None


def parse(text: str, said_by: str) -> Reference:
    """A reference. Raises ConfigurationError, naming ``said_by``, for a text that is none; the text is not shown where it
    may hold a password."""
    found = _NAME.fullmatch(text)
    host = found["host"] if found else ""
    if not found or not ("." in host or ":" in host or host == "localhost"):
        raise ConfigurationError(
            said_by,
            "a name like registry.example.org/team/loans or registry.example.org/team/loans:TAG, in lower case",
            "a text with a user or an address in it"
            if "@" in text.partition("@sha256:")[0] or "//" in text
            else repr(text),
            "name the registry, then the repository; user and password come from the environment or from Docker's config.json",
        )
    return Reference(host, found["name"], found["tag"] or "", found["digest"] or "")
