"""Tells people what went wrong in a run, once for each cause, and once more when it is over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from spark_lib.errors import LakeError, NotNotified
from spark_lib.lake import Lake, Partition
from spark_lib.notices import message, record, sending
from spark_lib.notices.record import BEGUN, CLAIMED, NOT_SENT, OVER, SENT, Cause, Notice
from spark_lib.use_case import loading
from tasks.config import addresses
from tasks.config.settings import Settings
from tasks.graph.stage import Stage
from tasks.graph.staleness import RAW
from tasks.notification.notes import DAMAGED, FAILED, LATE, Note
from tasks.planning import chain


def tell(notes: Sequence[Note], places: Mapping[tuple[str, str], Settings]) -> Iterator[str]:
    """Tell what was noted in each place, and yield a warning for each place where somebody could not be told. Raises
    ConfigurationError for addresses that cannot be used."""
    for (use_case, root), settings in places.items():
        of_place = [note for note in notes if (note.use_case, note.lake) == (use_case, root)]
        lake = Lake(root, loading.directory(use_case), settings.connection)
        failed = _Place(lake, settings, of_place, datetime.now(UTC)).tell()
        if failed:
            yield f"not everybody was told how this run went: {'; '.join(map(str, failed))}"


def send(settings: Settings, what: message.Message) -> dict[str, NotNotified | None]:
    """Send a message to all addresses. Returns, by the name of each, why it has not taken it, or None where it has."""
    urls = addresses.of(settings.notify, settings.said_by("notify", "urls_file"))
    names = [
        f"address {number} of {len(urls)} ({addresses.scheme_of(url)})" for number, url in enumerate(urls, start=1)
    ]
    return sending.send(what, urls, names, settings.notify.timeout_seconds)


@dataclass(frozen=True)
class _Place:
    """One use case in one lake, at one time."""

    lake: Lake
    settings: Settings
    notes: Sequence[Note]
    now: datetime

    def tell(self) -> list[NotNotified]:
        """Send one message with all that is new and all that is over. Returns what could not be sent."""
        found = self._found()
        try:
            claims = list(self._claims(found, record.last_of_open(self.lake)))
        except LakeError:  # a lake that does not answer cannot say what was told, and is what people want to hear of
            claims = [
                Notice(cause, BEGUN, NOT_SENT, why, self.now.isoformat(), "") for cause, (why, _) in found.items()
            ]
        if not claims:
            return []
        begun = [claim for claim in claims if claim.about == BEGUN]
        over = [claim for claim in claims if claim.about == OVER]
        answers = send(self.settings, message.of(self.lake.use_case, self.lake.root, begun, over))
        step = SENT if None in answers.values() else NOT_SENT
        for claim in claims:
            if claim.step == CLAIMED:
                record.record(self.lake, replace(claim, step=step))
        return [error for error in answers.values() if error is not None]

    def _claims(self, found: Mapping[Cause, tuple[str, str]], known: Mapping[Cause, Notice]) -> Iterator[Notice]:
        """The notices that this process is to send: no other one has sent or claimed them."""
        for cause in dict.fromkeys([*found, *known]):
            last = known.get(cause)
            if last is None:
                why, run = found[cause]
                last = record.first(self.lake, cause, why, run)
                about = "" if self._is_over(cause, run) else BEGUN
            else:
                about = OVER if self._is_over(cause, last.run) else BEGUN
            if about and last.is_due(about, self.now):
                claim = record.record(self.lake, replace(last, about=about, step=CLAIMED))
                if claim is not None:
                    yield claim

    def _found(self) -> dict[Cause, tuple[str, str]]:
        """What is wrong, as far as this run has met it: why, and the run that is published."""
        found = {}
        for note in self.notes:
            if note.kind and (note.kind != LATE or self._is_late(note.date)):
                found[Cause(note.date, note.subject, note.kind)] = (note.why, note.run)
        return found | {cause: (why, "") for cause, why in self._refused()}

    def _refused(self) -> Iterator[tuple[Cause, str]]:
        """The days that were built and are not to be used: a training is rejected, a release held."""
        built = sorted({(note.subject, note.date) for note in self.notes if not note.kind})
        for subject, days in groupby(built, key=lambda pair: pair[0]):
            stage = chain.of_dataset(subject)
            if stage is not None:
                for day, why in self._rejections(stage, [day for _, day in days]).items():
                    if why:
                        yield Cause(day, subject, stage.told_as or stage.refused.value), why

    def _rejections(self, stage: type[Stage], days: Collection[date]) -> dict[date, str]:
        """Why each of the days that are there is not to be used; empty where it may be."""
        found = self.lake.find(stage.dataset, min(days), max(days))
        there = ((day, found.get(day)) for day in days)
        return {day: stage.describe(each.manifest).rejection for day, each in there if isinstance(each, Partition)}

    def _is_late(self, day: date) -> bool:
        """Whether a raw day should have landed by now."""
        values = self.settings.notify
        due = datetime.combine(
            day + timedelta(days=1), time.fromisoformat(values.late_after), ZoneInfo(values.timezone)
        )
        return self.now >= due

    def _is_over(self, cause: Cause, run: str) -> bool:
        """Whether nothing is wrong any more: the lake says so, whoever has mended it."""
        if cause.kind == LATE:
            feed = cause.subject.removeprefix(RAW)
            return feed not in self.settings.case.feeds or self.settings.feed(self.lake.root, feed).has_landed(
                cause.date
            )
        stage = chain.of_dataset(cause.subject)
        if stage is None:  # it is not in the lake, and only the run itself knows
            return any((note.subject, note.date, note.kind) == (cause.subject, cause.date, "") for note in self.notes)
        there = self.lake.find(stage.dataset, cause.date, cause.date).get(cause.date)
        if not isinstance(there, Partition) or stage.damage_behind(self.lake, there):
            return False
        if cause.kind in (FAILED, DAMAGED):
            return cause.kind == DAMAGED or there.manifest.run != run
        return not stage.describe(there.manifest).rejection or (stage.superseded and self._is_superseded(stage, cause))

    def _is_superseded(self, stage: type[Stage], cause: Cause) -> bool:
        found = self.lake.find(stage.dataset, cause.date, date.max)
        later: Iterable[Partition] = (
            each for day, each in found.items() if isinstance(each, Partition) and day > cause.date
        )
        return any(not stage.describe(each.manifest).rejection for each in later)
