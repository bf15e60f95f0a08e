"""Runs the application until it is told to stop, on an address that may be used without a token, or with one."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI

#: The variable of the environment that has the token. It is never an argument, which all users of a machine can see.
TOKEN = "DAYSTONE_SERVE_TOKEN"  # noqa: S105  (the name of a variable)
#: How long requests in flight may take once the service is told to stop.
_SECONDS_TO_STOP = 30
_LEAST_TOKEN = 16
_WAITING = 2048


def token_of(environment: Mapping[str, str], host: str, said_by: str = "[serve] host") -> str | None:
    """The token that requests have to show; None for a service of this machine that asks for none.

    Raises ConfigurationError for an address that others can reach without a token, and for a token that can be guessed or
    that no header can carry. No error shows the token.
    """
    token = environment.get(TOKEN)
    if token is None:
        if not is_loopback(host):
            raise ConfigurationError(
                said_by,
                f"127.0.0.1, or a token in the environment's {TOKEN}",
                f"{host}, which other machines may reach, and no token",
                f"set {TOKEN}, or serve on 127.0.0.1 behind a proxy that asks who it is",
            )
        return None
    if len(token) < _LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError(
            TOKEN,
            f"at least {_LEAST_TOKEN} letters, digits and signs of ASCII, without a space",
            "another text, which is not shown",
            "make one, as by: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address. A name other than localhost may be anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int, said_by: Callable[[str], str] = "[serve] {}".format) -> socket.socket:
    """A socket that waits for connections; with port 0 on any free port. Raises ConfigurationError where the address
    cannot be used. ``said_by`` names what has set host and port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigurationError(
            said_by("host"), "an address of this machine", f"{host}: {error.strerror}", "correct it"
        ) from error
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_WAITING)
    except OSError as error:
        found.close()
        raise ConfigurationError(
            said_by("port"),
            "an address and a port that can be listened on",
            f"{host}, port {port}: {os.strerror(error.errno or 0)}",
            "stop what listens there, or set another port",
        ) from error
    return found


def url_of(listener: socket.socket) -> str:
    """Where a service is found."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: FastAPI, listener: socket.socket) -> None:
    """Answer until SIGTERM or Ctrl-C. Requests in flight are answered first. Raises KeyboardInterrupt after Ctrl-C."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=_SECONDS_TO_STOP,
        )
    )
    # uvicorn sends the signal that it stopped for again, once it has stopped. The end of a service by it is no failure.
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        server.run([listener])
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.close()
