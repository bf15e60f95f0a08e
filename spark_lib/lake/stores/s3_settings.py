"""Finds out which S3 server a process asks, for which region it signs, and who said so.

The endpoint comes from the first of these that is set: ``S3_ENDPOINT``, ``AWS_ENDPOINT_URL_S3``, ``[lake] endpoint``
(``--lake-endpoint``), ``AWS_ENDPOINT_URL``, and of the AWS profile ``endpoint_url`` of ``s3`` in the section that
``services`` names, then its own ``endpoint_url``; else it is AWS's own. ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true``
passes over all that AWS's own tools read. It leaves ``S3_ENDPOINT``, ``[lake] endpoint`` and ``[raw.<feed>] endpoint``.

What a raw feed says of its own server (``[raw.<feed>] endpoint``) comes before all of these, and so does
``endpoint_url`` of the profile that it names (``[raw.<feed>] profile``): the environment of a process speaks for the
lake, and cannot name two servers.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Any

from spark_lib.errors import ConfigurationError

#: The variables that decide about the server, the region, and the files and certificates of AWS's tools.
VARIABLES = (
    "S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy",
    "NO_PROXY",
)  # fmt: skip
DEFAULT_REGION = "us-east-1"
_URL = "http:// or https:// and the address, as in http://minio:9000"
_HOST = re.compile(r"((?!-)[A-Z0-9-]{1,63}(?<!-)\.)*(?!-)[A-Z0-9-]{1,63}(?<!-)\.?", re.IGNORECASE | re.ASCII)
_REGION = re.compile(r"(?!\d+$)(?!-)[A-Z0-9-]{1,63}(?<!-)", re.IGNORECASE | re.ASCII)
_LAST_PORT = 65535


@dataclass(frozen=True)
class Said:
    """A value, and the variable or the setting that gave it. Both are empty where none did."""

    value: str = ""
    by: str = ""


NOBODY = Said()


@dataclass(frozen=True)
class Server:
    """The server that a process asks: its url, empty for AWS's own, and the region to sign for."""

    endpoint: Said
    region: Said

    @property
    def name(self) -> str:
        """The name of the server in messages."""
        return self.endpoint.value or "AWS"

    @property
    def suspect(self) -> str:
        """What to check where the server does not answer."""
        return f"{self.endpoint.by} and the network" if self.endpoint.by else "the network"


def resolve(endpoint: Said, own: Said = NOBODY, named: Said = NOBODY) -> Server:
    """The server for what the configuration says: ``endpoint``, which the environment may outrank; and of a feed its
    ``own`` endpoint and the profile that it has ``named``, which outrank the environment.

    Raises ConfigurationError for an endpoint, a region, a profile, a file or a proxy that cannot be used.
    """
    files = _aws_files()
    profile, services = _profile(files, named), files.get("services", {})
    name = _profile_name(named)
    of_named = _of_profile(profile, services, name) if named.value and not _ignored(profile, name) else []
    first = next((said for said in (own, *of_named) if said.value), NOBODY)
    asked = Said(checked_url(first), first.by) if first.value else _endpoint(endpoint, _profile(files), services)
    found = Server(asked, _region(profile, named))
    _check_proxy(found.endpoint.value)
    if not found.endpoint.value.startswith("http://"):
        _check_certificates(profile, name)
    return found


def check_profile(named: Said = NOBODY) -> None:
    """Raise ConfigurationError where the AWS profile that was ``named``, else the one in force, is not there, or where
    a file of AWS's tools is there and cannot be read."""
    _profile(_aws_files(), named)


def credentials_file() -> str:
    """The file from which AWS's tools read credentials, there or not. S3A reads profiles from no other one."""
    return _expanded(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")


def profiles_with_credentials() -> list[str]:
    """The profiles that are in ``credentials_file``; none where that is not there."""
    from botocore.configloader import raw_config_parse
    from botocore.exceptions import ConfigNotFound

    try:
        return list(raw_config_parse(credentials_file()))
    except ConfigNotFound:
        return []


def checked_url(said: Said) -> str:
    """The one spelling of an endpoint: without a slash at its end, and with its scheme in small letters. Raises
    ConfigurationError that names who said it."""
    url = said.value
    wrong = _wrong_url(url)
    if wrong:
        raise ConfigurationError(said.by, _URL, wrong, f"correct {said.by}")
    scheme, _, address = url.rstrip("/").partition("://")
    return f"{scheme.lower()}://{address}"


def _aws_files() -> dict[str, Any]:
    """What AWS's files say, as botocore reads them: ``profiles`` and, where there are any, ``services`` by name. Raises
    ConfigurationError where a file is there and cannot be read."""
    import botocore.session
    from botocore.exceptions import ConfigParseError

    for path in (_expanded(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"), credentials_file()):
        _check_readable(path)
    try:
        return dict(botocore.session.Session().full_config)
    except ConfigParseError as error:
        # The message does not show the line itself, which may be a secret.
        raise _unreadable(str(error.kwargs["path"]), _where_broken(error.kwargs["error"])) from None


def _profile(files: dict[str, Any], named: Said = NOBODY) -> dict[str, Any]:
    """The AWS profile that was ``named``, else the one in force. Raises ConfigurationError where it is not there."""
    profiles: dict[str, dict[str, Any]] = files["profiles"]
    # For AWS's tools, too, a variable counts that is there, even if it is empty.
    variable = next((name for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE") if name in os.environ), "")
    asked = named if named.value else Said(os.environ.get(variable, ""), variable)
    if asked == NOBODY:
        return profiles.get("default", {})
    if asked.value not in profiles:
        raise ConfigurationError(
            asked.by,
            "a profile of AWS's files (~/.aws/config, ~/.aws/credentials)",
            f"{asked.value!r}; there are: {', '.join(sorted(profiles)) or 'none'}",
            f"correct {asked.by}, or add the profile" if named.value else f"correct it, or unset {asked.by}",
        )
    return profiles[asked.value]


def _endpoint(setting: Said, profile: dict[str, Any], services: dict[str, Any]) -> Said:
    environment = [
        Said(os.environ.get("S3_ENDPOINT", ""), "S3_ENDPOINT"),
        Said(os.environ.get("AWS_ENDPOINT_URL_S3", ""), "AWS_ENDPOINT_URL_S3"),
        setting,
        Said(os.environ.get("AWS_ENDPOINT_URL", ""), "AWS_ENDPOINT_URL"),
    ]
    ours, name = [environment[0], setting], _profile_name()
    for said in ours if _ignored(profile, name) else [*environment, *_of_profile(profile, services, name)]:
        if said.value:
            return Said(checked_url(said), said.by)
    return NOBODY


def _of_profile(profile: dict[str, Any], services: dict[str, Any], name: str) -> list[Said]:
    """What the profile of this name says, in the order in which it counts."""
    found = []
    section = profile.get("services")
    if section is not None:
        if section not in services:
            raise ConfigurationError(
                f"services of the AWS profile {name!r}",
                f"a section [services {section}] in AWS's config file",
                "none",
                "add it, or remove the line",
            )
        of_s3 = services[section].get("s3", {})
        if isinstance(of_s3, dict):
            found.append(Said(str(of_s3.get("endpoint_url", "")), f"endpoint_url of s3 in [services {section}]"))
    found.append(Said(str(profile.get("endpoint_url", "")), f"endpoint_url of the AWS profile {name!r}"))
    return found


def _ignored(profile: dict[str, Any], name: str) -> bool:
    """Whether what AWS's own tools read of endpoints is passed over."""
    variable = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
    said = Said(os.environ.get(variable, ""), variable)
    if not said.value:
        key = "ignore_configured_endpoint_urls"
        said = Said(str(profile.get(key, "false")), f"{key} of the AWS profile {name!r}")
    if said.value.lower() not in ("true", "false"):
        # AWS's tools for Python take any other word for false; those for Java do not start.
        raise ConfigurationError(said.by, "true or false", repr(said.value), "correct it")
    return said.value.lower() == "true"


def _region(profile: dict[str, Any], named: Said) -> Said:
    of_profile = Said(str(profile.get("region", "")), f"region of the AWS profile {_profile_name(named)!r}")
    for said in (
        of_profile if named.value else NOBODY,
        Said(os.environ.get("AWS_REGION", ""), "AWS_REGION"),
        Said(os.environ.get("AWS_DEFAULT_REGION", ""), "AWS_DEFAULT_REGION"),
        of_profile,
    ):
        if said.value:
            if not _REGION.fullmatch(said.value):
                raise ConfigurationError(
                    said.by, "the name of a region, as in eu-west-1", repr(said.value), f"correct {said.by}"
                )
            return said
    return Said(DEFAULT_REGION)


def _profile_name(named: Said = NOBODY) -> str:
    return named.value or os.environ.get("AWS_DEFAULT_PROFILE") or os.environ.get("AWS_PROFILE") or "default"


def _wrong_url(url: str) -> str:
    """What is wrong with a url, in words; empty where nothing is wrong. Parts that may be a secret are not repeated."""
    shown = repr(url.partition("?")[0].partition("#")[0])
    address, _, path = url.partition("://")[2].partition("/")
    for wrong, words in (
        ("@" in url, "a url with a user or a password in it"),
        (re.search(r"\s", url), f"{shown}, with a blank in it"),
        (re.search("[\"'`]", url), f"{shown}, with quotes in it"),
        ("://" not in url, f"{shown}, without a scheme"),
        (not re.match("https?://", url, re.IGNORECASE), f"{shown}, with another scheme"),
        (re.search("[?#]", url), f"{shown} with a query or a fragment"),
        (not address or address.startswith(":"), f"{shown}, without a host"),
        (path.strip("/"), f"{shown}, with a path"),
        (not _has_good_port(address), f"{shown}, with a port that is none"),
        (not _has_good_host(address), f"{shown}, with a host that is none: letters, digits, hyphens and dots make one"),
    ):
        if wrong:
            return words
    return ""


def _has_good_port(address: str) -> bool:
    _, colon, port = address.rpartition("]")[2].partition(":")
    return not colon or (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT)


def _has_good_host(address: str) -> bool:
    """Whether both AWS's tools and Java accept it as a host: a name, or an address of IPv4 or, in brackets, of IPv6."""
    in_brackets = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](:\d*)?", address)
    if not in_brackets:
        return bool(_HOST.fullmatch(address.partition(":")[0]))
    try:
        ipaddress.IPv6Address(in_brackets[1])
    except ValueError:
        return False
    return True


def _check_readable(path: str) -> None:
    """AWS's tools pass over a file that they may not read, and with it over all that it says."""
    if not os.path.lexists(path):
        return
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _expanded(path: str) -> str:
    return os.path.abspath(os.path.expanduser(os.path.expandvars(path)))


def _where_broken(error: Exception) -> str:
    lines = [line for line, _ in getattr(error, "errors", [])] or [getattr(error, "lineno", None)]
    what = "text that is no UTF-8" if isinstance(error, UnicodeDecodeError) else type(error).__name__
    return f"{what} in line {lines[0]}" if lines[0] else what


def _unreadable(path: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        path,
        "a file that AWS's tools can read",
        found,
        "correct it, or set AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE to another",
    )


def _check_proxy(endpoint: str) -> None:
    """Raise ConfigurationError where the environment names a proxy for the server that cannot be one. AWS's tools
    accept a proxy without a scheme, too."""
    from botocore.utils import get_environ_proxies

    url = endpoint or "https://s3.amazonaws.com"
    scheme = url.partition("://")[0]
    proxy = str(get_environ_proxies(url).get(scheme, ""))
    whole = proxy if "://" in proxy else f"http://{proxy}"
    address = whole.partition("://")[2].partition("/")[0].rpartition("@")[2]
    # Names of containers may have underscores, and such proxies are found.
    good = re.match("https?://", whole) and _has_good_port(address) and _has_good_host(address.replace("_", "-"))
    if proxy and not good:
        by = proxy_variable(scheme)
        raise ConfigurationError(
            by,
            "the address of a proxy, as in http://proxy:3128",
            "one with a user or a password that is no url" if "@" in proxy else repr(proxy),
            f"correct or unset {by}",
        )


def proxy_variable(scheme: str) -> str:
    """The variable that names the proxy for urls of a scheme."""
    return next((name for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()) if os.environ.get(name)), "the proxy")


def _check_certificates(profile: dict[str, Any], name: str) -> None:
    """See that the certificates that a server is checked against are there."""
    for said in (
        Said(os.environ.get("AWS_CA_BUNDLE", ""), "AWS_CA_BUNDLE"),
        Said(str(profile.get("ca_bundle", "")), f"ca_bundle of the AWS profile {name!r}"),
        Said(os.environ.get("REQUESTS_CA_BUNDLE", ""), "REQUESTS_CA_BUNDLE"),
    ):
        if not said.value:
            continue
        import ssl

        try:
            if os.path.isdir(said.value):
                ssl.create_default_context(capath=said.value)
            else:
                ssl.create_default_context(cafile=said.value)
        except OSError as error:  # SSLError is one
            found = "no such file" if isinstance(error, FileNotFoundError) else "no certificates"
            raise ConfigurationError(
                said.by, "a file of certificates (PEM)", f"{said.value!r}: {found}", f"correct or unset {said.by}"
            ) from error
        return
