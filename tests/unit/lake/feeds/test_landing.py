"""Small objects of a landing, which several processes may create at once, on a store that does not always answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from spark_lib.errors import LakeError
from spark_lib.lake.feeds import landing
from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.stores.store import Conflict, Unanswered
from tests.unit.lakes import Wrapped


class Shaky(Wrapped):
    """Answers puts as ``script`` says, one word a put, and those after these as they are.

    ``dropped``: not executed, no answer. ``executed``: executed, no answer. ``refused``: refused, with nothing there, as
    when what stood in the way was removed since.
    """

    def __init__(self, root: Path, script: Iterable[str]) -> None:
        super().__init__(LocalStore(str(root)))
        self.script = list(script)

    def create(self, key: str, body: bytes) -> None:
        word = self.script.pop(0) if self.script else ""
        if word in ("", "executed"):
            self.store.create(key, body)
        if word in ("dropped", "executed"):
            raise Unanswered(key)
        if word == "refused":
            raise Conflict(key)


@pytest.mark.parametrize("script", [[], ["dropped"], ["executed"], ["refused"], ["dropped", "refused"]], ids=str)
def test_what_is_created_is_there_whatever_the_store_answers_at_first(tmp_path: Path, script: list[str]) -> None:
    assert landing.create(Shaky(tmp_path, script), "_SUCCESS", b"ours") == b"ours"
    assert (tmp_path / "_SUCCESS").read_bytes() == b"ours"


def test_what_another_process_has_created_first_stands_and_is_returned(tmp_path: Path) -> None:
    (tmp_path / "_SUCCESS").write_bytes(b"theirs")

    assert landing.create(Shaky(tmp_path, ["dropped"]), "_SUCCESS", b"ours") == b"theirs"
    assert (tmp_path / "_SUCCESS").read_bytes() == b"theirs"


def test_a_store_that_never_answers_a_put_is_given_up_and_named(tmp_path: Path) -> None:
    store = Shaky(tmp_path, ["dropped"] * 9)

    with pytest.raises(LakeError) as refused:
        landing.create(store, "_SUCCESS", b"ours")

    assert (
        str(refused.value) == f"{tmp_path}/_SUCCESS: wanted an answer to a put; found none in 3 tries. Next: run again"
    )
    assert len(store.script) == 6
