"""Who we are to a registry, by the environment or by Docker's own file, which ``docker login`` writes. Nothing of it is
ever shown."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from spark_lib.errors import ConfigurationError

#: The variables of the environment with the user and the password, or the token that registries take for one.
USER, PASSWORD = "DAYSTONE_REGISTRY_USER", "DAYSTONE_REGISTRY_PASSWORD"
_DOCKER_HUB, _ITS_ENTRY = "docker.io", "https://index.docker.io/v1/"


def to_push(host: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """User and password for the registry that an image is pushed to, as HTTP's basic authentication spells them; None where
    none are known. The environment's are for this registry alone.

    Raises ConfigurationError where only one of the two variables is set, and where Docker's file cannot be read.
    """
    user, password = environment.get(USER), environment.get(PASSWORD)
    if (user is None) != (password is None):
        raise ConfigurationError(
            USER,
            f"both {USER} and {PASSWORD}, or neither",
            "only one of them",
            "set the other one, too, or unset both for the credentials of docker login",
        )
    if user is not None:
        return base64.b64encode(f"{user}:{password}".encode()).decode()
    return to_pull(host, environment)


def to_pull(host: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """User and password for a registry by Docker's own file, which has an entry for each; None where it has none. Raises
    ConfigurationError where the file cannot be read."""
    directory = environment.get("DOCKER_CONFIG") or os.path.join(environment.get("HOME", ""), ".docker")
    path = Path(directory, "config.json")
    try:
        known = json.loads(path.read_bytes()).get("auths", {})
        found = known.get(_ITS_ENTRY if host == _DOCKER_HUB else host) or known.get(f"https://{host}") or {}
        auth: str | None = found.get("auth") or None
        if auth is not None:
            base64.b64decode(auth, validate=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            str(path),
            "Docker's own file, with a text auth for the registry among auths",
            type(error).__name__,
            f"run docker login again, or set {USER} and {PASSWORD}",
        ) from None
    return auth
