"""Who may reach a service, and what is said of an address or a token that cannot be used."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.rest import server
from spark_lib.rest.server import TOKEN, token_of

LONG_ENOUGH = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert token_of({}, host) is None
    assert token_of({TOKEN: LONG_ENOUGH}, host) == LONG_ENOUGH


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", ""])
def test_another_address_is_refused_without_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        token_of({}, host, "--set serve.host")

    assert str(refused.value) == (
        "--set serve.host: wanted 127.0.0.1, or a token in the environment's DAYSTONE_SERVE_TOKEN; found "
        f"{host}, which other machines may reach, and no token. Next: set DAYSTONE_SERVE_TOKEN, or serve on 127.0.0.1 behind a "
        "proxy that asks who it is"
    )
    assert token_of({TOKEN: LONG_ENOUGH}, host) == LONG_ENOUGH


@pytest.mark.parametrize(
    "token", ["", "short", "a" * 15, "with a space in it", "näher-als-man-denkt", "line\nbreak-and-more"]
)
def test_a_token_that_can_be_guessed_or_that_no_header_carries_is_refused_and_not_shown(token: str) -> None:
    environment: Mapping[str, str] = {TOKEN: token}

    with pytest.raises(ConfigurationError) as refused:
        token_of(environment, "127.0.0.1")

    assert str(refused.value) == (
        "DAYSTONE_SERVE_TOKEN: wanted at least 16 letters, digits and signs of ASCII, without a space; found another text, which "
        "is not shown. Next: make one, as by: python -c 'import secrets; print(secrets.token_urlsafe())'"
    )


def test_a_free_port_is_found_and_told() -> None:
    with server.listening("127.0.0.1", 0) as listener:
        assert server.url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError) as refused:
            server.listening("127.0.0.1", port)

    assert str(refused.value) == (
        f"[serve] port: wanted an address and a port that can be listened on; found 127.0.0.1, port {port}: Address already "
        "in use. Next: stop what listens there, or set another port"
    )


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Cannot assign requested address"):
        server.listening("192.0.2.1", 0)
    with pytest.raises(ConfigurationError, match=r"\[serve\] host: wanted an address of this machine"):
        server.listening("no such host", 0)
