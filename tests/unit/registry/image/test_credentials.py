"""Who we are to a registry: by the environment, or by the file of docker login."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from spark_lib.errors import ConfigurationError
from spark_lib.registry.image import credentials

SECRET = base64.b64encode(b"me:daystone-test-secret").decode()


def docker(tmp_path: Path, document: object) -> dict[str, str]:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(document))
    return {"HOME": str(tmp_path)}


def test_the_environment_comes_before_dockers_file(tmp_path: Path) -> None:
    known = docker(tmp_path, {"auths": {"registry.example.org": {"auth": "b3RoZXI6b3RoZXI="}}})

    found = credentials.to_push(
        "registry.example.org", known | {credentials.USER: "me", credentials.PASSWORD: "daystone-test-secret"}
    )

    assert found == SECRET


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        ("registry.example.org", "registry.example.org"),
        ("registry.example.org", "https://registry.example.org"),
        ("docker.io", "https://index.docker.io/v1/"),
    ],
)
def test_dockers_file_has_an_entry_for_each_registry(tmp_path: Path, host: str, entry: str) -> None:
    known = docker(tmp_path, {"auths": {entry: {"auth": SECRET}}})

    assert credentials.to_push(host, known) == SECRET
    assert credentials.to_push("other.example.org", known) is None


def test_docker_config_names_the_directory_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"a.b": {"auth": SECRET}}}))

    assert credentials.to_push("a.b", {"DOCKER_CONFIG": str(tmp_path)}) == SECRET


def test_what_the_environment_has_is_for_the_registry_of_pushes_alone(tmp_path: Path) -> None:
    """A base may be at somebody else's registry."""
    known = docker(tmp_path, {"auths": {"base.example.org": {"auth": SECRET}}})
    known |= {credentials.USER: "other", credentials.PASSWORD: "other"}

    assert credentials.to_pull("base.example.org", known) == SECRET
    assert credentials.to_pull("registry.example.org", known) is None


def test_nobody_is_known_without_either(tmp_path: Path) -> None:
    assert credentials.to_push("registry.example.org", {"HOME": str(tmp_path)}) is None


def test_one_variable_without_the_other_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        credentials.to_push("a.b", {"HOME": str(tmp_path), credentials.PASSWORD: "daystone-test-secret"})

    assert str(refused.value) == (
        "DAYSTONE_REGISTRY_USER: wanted both DAYSTONE_REGISTRY_USER and DAYSTONE_REGISTRY_PASSWORD, or neither; found only one "
        "of them. Next: set the other one, too, or unset both for the credentials of docker login"
    )


@pytest.mark.parametrize("auth", ["daystone-test-secret!", 7, ["daystone-test-secret"]])
def test_a_file_of_docker_that_cannot_be_read_is_refused_and_not_shown(tmp_path: Path, auth: object) -> None:
    known = docker(tmp_path, {"auths": {"a.b": {"auth": auth}}})

    with pytest.raises(ConfigurationError, match="wanted Docker's own file, with a text auth") as refused:
        credentials.to_push("a.b", known)

    assert "secret" not in str(refused.value)
