"""Names of images, and what is said of a text that is none."""

from __future__ import annotations

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.registry.image import reference
from spark_lib.registry.image.reference import Reference

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example.org/loans", Reference("registry.example.org", "loans")),
        ("registry.example.org/team/loans:v1", Reference("registry.example.org", "team/loans", "v1")),
        ("127.0.0.1:5000/a/b-c/d__e:2026-03-01-0f", Reference("127.0.0.1:5000", "a/b-c/d__e", "2026-03-01-0f")),
        (f"localhost/loans@{DIGEST}", Reference("localhost", "loans", "", DIGEST)),
        (f"docker.io/library/python:3.11@{DIGEST}", Reference("docker.io", "library/python", "3.11", DIGEST)),
    ],
)
def test_a_name_has_a_registry_and_a_repository(text: str, expected: Reference) -> None:
    found = reference.parse(text, "--push")

    assert found == expected
    assert str(found) == text


@pytest.mark.parametrize(
    "text", ["loans", "team/loans", "registry.example.org/Loans", "registry.example.org/", "a.b/c:"]
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        reference.parse(text, "daystone image --push")

    assert str(refused.value) == (
        "daystone image --push: wanted a name like registry.example.org/team/loans or registry.example.org/team/loans:TAG, in "
        f"lower case; found {text!r}. Next: name the registry, then the repository; user and password come from the "
        "environment or from Docker's config.json"
    )


@pytest.mark.parametrize("text", ["https://registry.example.org/loans", "me:secret@registry.example.org/loans"])
def test_a_text_that_may_hold_a_password_is_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="found a text with a user or an address in it") as refused:
        reference.parse(text, "[image] base")

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("localhost:5000", "http://localhost:5000"),
        ("docker.io", "https://registry-1.docker.io"),
        ("registry.example.org", "https://registry.example.org"),
        ("127.0.0.1.example.org", "https://127.0.0.1.example.org"),
    ],
)
def test_only_a_registry_of_this_machine_is_asked_without_tls(host: str, address: str) -> None:
    assert Reference(host, "loans").address == address


def test_a_base_is_a_name_or_a_directory_or_this_machines_python() -> None:
    for spec in ("", "oci:images/python", "docker.io/library/python:3.11-slim"):
        reference.check_base(spec, "[image] base")

    with pytest.raises(ConfigurationError, match="wanted oci:DIRECTORY; found 'oci:'"):
        reference.check_base("oci:", "[image] base")
    with pytest.raises(ConfigurationError, match=r"\[image\] base: wanted a name like"):
        reference.check_base("python:3.11", "[image] base")
