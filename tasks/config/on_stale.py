"""What a run does about a published partition that is stale: one word for all stages, and others for some of them.

on_stale = warn
on_stale = rebuild, predictions: keep
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from luigi.task_register import Register

from spark_lib.errors import ConfigurationError, did_you_mean


class OnStale(enum.Enum):
    #: It is complete, and nothing is said.
    KEEP = "keep"
    #: It is complete. The run names it in one line at its end.
    WARN = "warn"
    #: It is not complete, and is built again.
    REBUILD = "rebuild"
    #: The run ends with an error.
    FAIL = "fail"

    @property
    def acts(self) -> bool:
        """Whether a stale partition is not complete, so that inputs have to be looked at."""
        return self in (OnStale.REBUILD, OnStale.FAIL)


@dataclass(frozen=True)
class Policies:
    """``usual`` holds for every dataset that ``others`` does not name."""

    usual: OnStale = OnStale.WARN
    others: Mapping[str, OnStale] = field(default_factory=dict)

    def of(self, dataset: str) -> OnStale:
        """The policy of a dataset."""
        named = dataset if dataset in self.others else dataset.partition("/")[0]  # one for all cleaned feeds
        return self.others.get(named, self.usual)


def parse(text: str, said_by: Callable[[], str]) -> Policies:
    """The policies in the text of ``[lake] on_stale``. Raises ConfigurationError, which names what has set it."""
    usual, *others = (part.strip() for part in text.split(","))
    found: dict[str, OnStale] = {}
    for part in others:
        dataset, colon, word = (piece.strip() for piece in part.partition(":"))
        known = datasets()
        if not colon:
            raise _refusal(said_by, "DATASET: POLICY behind the first policy", repr(part))
        if dataset not in known:
            raise _refusal(
                said_by, f"one of the datasets {', '.join(known)}", f"{dataset!r}{did_you_mean(dataset, known)}"
            )
        if dataset in found:
            raise _refusal(said_by, "one policy for each dataset", f"two for {dataset}")
        found[dataset] = _policy(word, said_by)
    return Policies(_policy(usual, said_by), found)


def datasets() -> list[str]:
    """The datasets of all stages that have been imported, in the order of the import."""
    found = (getattr(kind, "dataset", None) for kind in Register._get_reg().values())
    return list(dict.fromkeys(name for name in found if isinstance(name, str)))


def _policy(word: str, said_by: Callable[[], str]) -> OnStale:
    words = [policy.value for policy in OnStale]
    if word not in words:
        raise _refusal(said_by, f"one of {', '.join(words)}", f"{word!r}{did_you_mean(word, words)}")
    return OnStale(word)


def _refusal(said_by: Callable[[], str], wanted: str, found: str) -> ConfigurationError:
    return ConfigurationError(said_by(), wanted, found, "correct it, as in on_stale = rebuild, predictions: keep")
