"""The errors that Daystone raises. They are one small tree; each says where it happened, what was wanted, what was
found, and the next step.

``exit_code`` is the code that ``run.py`` (and the ``daystone`` command) exits with when that error is the reason.
Luigi's own command line knows only six codes, so the tree is mapped onto them (see ``tasks/graph/stage.py``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar

Raised = TypeVar("Raised", bound="DaystoneError")


class DaystoneError(Exception):
    """Something that a person has to act on.

    The attributes hold the arguments unchanged, and every argument reaches ``Exception.__init__``, so that errors can
    be pickled.
    """

    exit_code = 30
    #: Whether the cause may pass by itself, so that the same may succeed a little later. ``passing`` says so of an error.
    may_pass = False
    #: Whether people are told of it by ``[notify]``. Of what is no failure, or what another cause says already, they are not.
    is_told = True

    def __init__(self, where: str, wanted: str, found: str, next_step: str) -> None:
        super().__init__(where, wanted, found, next_step)
        self.where = where
        self.wanted = wanted
        self.found = found
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.where}: wanted {self.wanted}; found {self.found}. Next: {self.next_step}"


class WaitingForData(DaystoneError):
    """A raw day has no flag yet: others have not landed it."""

    exit_code = 20
    is_told = False


class NotPublished(DaystoneError):
    """A requested partition has not been built."""

    exit_code = 21


class ConfigurationError(DaystoneError):
    """A configuration value, a use case or a combination of options cannot work."""

    exit_code = 31


class UnknownEntity(ConfigurationError):
    """What is looked up is no entity of the use case: a column is another one, or a value does not fit its type."""

    exit_code = 46


class HoleInHistory(DaystoneError):
    """An earlier raw day is missing although a later one has landed."""

    exit_code = 32


class BadData(DaystoneError):
    """Landed data breaks its declared schema, key or size. ``file`` is the raw file that cannot be read, where there is
    one: every reader of its day fails at this file."""

    exit_code = 33

    def __init__(self, where: str, wanted: str, found: str, next_step: str, file: str = "") -> None:
        super().__init__(where, wanted, found, next_step)
        self.file = file


class NoApprovedModel(DaystoneError):
    """There is nothing to score with: no candidate, or none that passed its gates."""

    exit_code = 34


class DamagedPartition(DaystoneError):
    """A published manifest cannot be read, or its files are missing or differ from what it says."""

    exit_code = 35


class LakeError(DaystoneError):
    """The place of the lake cannot be used as a lake."""

    exit_code = 36


class PublishError(DaystoneError):
    """A publish lost against another attempt, was refused, or had no clear result."""

    exit_code = 37


class UseCaseError(DaystoneError):
    """The code of a use case broke its side of the protocol."""

    exit_code = 38


class ModelError(DaystoneError):
    """A model cannot be exported, differs from what was trained, or differs from its checksum."""

    exit_code = 39


class JavaMissing(DaystoneError):
    """There is no Java that Spark can start with."""

    exit_code = 40


class StalePartition(DaystoneError):
    """A published partition is stale, and ``[lake] on_stale = fail``."""

    exit_code = 42


class NotConfirmed(DaystoneError):
    """What would be rebuilt or removed has to be confirmed, and was not."""

    exit_code = 43
    is_told = False


class NothingToDecide(DaystoneError):
    """A decision on a release would change nothing, or something else has to be decided first."""

    exit_code = 44


class NotReleased(DaystoneError):
    """The predictions of a day are held, and no earlier run of them is in force."""

    exit_code = 45
    is_told = False


class PromotionRefused(DaystoneError):
    """A promotion of a model cannot count from the day that it names on, or by the strategy that it names."""

    exit_code = 50


class QueryError(DaystoneError):
    """A query of SQL cannot be answered as it is written, or is no query."""

    exit_code = 48


class NoScore(DaystoneError):
    """An entity has no published score, and no fallback is declared or known."""

    exit_code = 49


class NothingToEvaluate(DaystoneError):
    """There are no predictions of the days that would be judged."""

    exit_code = 54


class BelowBound(DaystoneError):
    """The newest evaluation that was asked for has missed one of the bounds of ``[evaluation]``."""

    exit_code = 55


class TrackingUnavailable(DaystoneError):
    """MLflow cannot be reached, answers too slowly, or refuses."""

    exit_code = 52


class AliasRefused(DaystoneError):
    """The version that an alias of MLflow names is no approved model of the lake."""

    exit_code = 53


class RegistryUnavailable(DaystoneError):
    """A registry of images does not answer, or refuses what it is asked."""

    exit_code = 56


class ImageError(DaystoneError):
    """An image of a model cannot be built, or not written where it is to be."""

    exit_code = 57


class NotNotified(DaystoneError):
    """A message could not be sent to an address of ``[notify]``."""

    exit_code = 58


class ScheduleError(DaystoneError):
    """A run cannot be scheduled as it is asked for."""

    exit_code = 59


def passing(error: Raised) -> Raised:
    """An error, marked as one whose cause may pass by itself."""
    error.may_pass = True
    return error


def later_format(where: str, what: str, known: int, found: int) -> LakeError:
    """The refusal of a document whose format is later than the one that this version knows."""
    return LakeError(where, f"{what} of format {known}", f"format {found}", "read it with the Daystone that wrote it")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
