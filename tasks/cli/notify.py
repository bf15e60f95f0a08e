"""Sends a test message to all addresses."""

from __future__ import annotations

from spark_lib.errors import ConfigurationError, NotNotified
from spark_lib.notices import message
from tasks.cli.place import configured
from tasks.config import addresses
from tasks.notification import telling


def test() -> dict[str, NotNotified | None]:
    """Send the message. Returns, by the name of each address, why it has not taken it, or None where it has. Raises
    ConfigurationError where there is no address, or one that cannot be used."""
    place = configured()
    if not addresses.is_configured(place.settings.notify):
        raise ConfigurationError(
            "[notify]",
            "an address that is told when something is wrong",
            "none",
            f"set [notify] urls, the environment's {addresses.VARIABLE}, or [notify] urls_file",
        )
    return telling.send(place.settings, message.test(place.partitions.use_case, place.partitions.root))
