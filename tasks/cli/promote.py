"""Records which model a person puts in force, and builds the days again that had another one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from spark_lib.errors import ConfigurationError, PromotionRefused
from spark_lib.lake import Lake, Partition
from spark_lib.registry import promotions
from spark_lib.registry.promotions import DIRECT, Model, Promotion, Step
from spark_lib.stages import selection
from tasks.cli import rebuild as rebuilding
from tasks.cli import run as runner
from tasks.cli import track as tracking
from tasks.cli.place import Place, configured
from tasks.cli.user import user
from tasks.graph.stage import Stage, forget_checked
from tasks.inference import BatchInference
from tasks.release import Release
from tasks.selection import ModelSelection
from tasks.shadow import ShadowInference
from tasks.training import Training

_ONE_DAY = timedelta(days=1)
#: The stages of a day that follow from its selection, in the order of the chain.
_FOLLOWING: tuple[type[Stage], ...] = (BatchInference, ShadowInference, Release)


@dataclass
class Promoted:
    """``made`` is the promotion; it was there already where it is not ``new``. ``rebuilt`` are the days that were built
    again by it."""

    made: Promotion
    new: bool
    rebuilt: list[date] = field(default_factory=list)


def promote(
    model: date,
    first: date | None,
    why: str,
    watcher: runner.Watcher,
    strategy: str = DIRECT,
    steps: Sequence[Step] = (),
    rebuild: bool = False,
) -> Promoted:
    """Promote the model of a training from a day on; without one from the first day that it may begin on.

    Where the same is promoted already, nothing is recorded, and the days that it asks for are built again all the same:
    an interrupted ``rebuild`` goes on.

    Raises NotPublished, DamagedPartition or ModelError for a training without a model that can be promoted, and
    PromotionRefused for a promotion that cannot count.
    """
    place = configured()
    (trained,) = place.partitions.require(Training.dataset, model)
    return _promoted(
        place, selection.promotable(place.partitions, trained), first, why, watcher, strategy, steps, rebuild
    )


def follow(first: date | None, why: str | None, watcher: runner.Watcher, rebuild: bool = False) -> Promoted:
    """Promote the training that the alias of MLflow names, directly. Without a reason the alias is the reason.

    Where that model is in force already, whatever scores beside it, nothing is recorded. Raises what ``tracking.followed``
    raises, and otherwise as ``promote`` does.
    """
    named = tracking.followed()
    place = configured()
    lake = place.partitions
    model = selection.promotable(lake, named.training)
    first = first or _earliest(place, model.date)
    standing = promotions.in_force(promotions.read(lake), first)
    if standing is None or standing.champion.model != model:
        why = why or f"version {named.version} of {named.registered} in MLflow has the alias {named.alias}"
        return _promoted(place, model, first, why, watcher, DIRECT, (), rebuild)
    days = _rebuilt(lake, first, watcher) if rebuild else ()
    return Promoted(standing.champion, False, list(days))


def demote(first: date | None, why: str, watcher: runner.Watcher, rebuild: bool = False) -> Promoted:
    """Promote the model that was in force before the one of a day, or the one that goes on beside its challenger.

    Where the decision of that first day is a demotion already, nothing is recorded, and an interrupted ``rebuild`` goes
    on: the model before this one is the very one that was demoted. Raises PromotionRefused where there is none before.
    """
    place = configured()
    first = first or _earliest(place)
    known = promotions.read(place.partitions)
    now = promotions.in_force(known, first)
    if now is not None and now.decided.undoes and now.decided.first_day == first:
        return _promoted(place, now.decided.model, first, why, watcher, DIRECT, (), rebuild)
    before = promotions.before(known, first)
    if now is None or before is None:
        raise PromotionRefused(
            f"demotion from {first} on",
            "a model that was promoted before the one in force",
            "none",
            "promote another one (daystone models; daystone promote --model DATE --why TEXT)",
        )
    return _promoted(place, before.model, first, why, watcher, DIRECT, (), rebuild, now.decided.name)


def _promoted(
    place: Place,
    model: Model,
    first: date | None,
    why: str,
    watcher: runner.Watcher,
    strategy: str,
    steps: Sequence[Step],
    rebuild: bool,
    undoes: str = "",
) -> Promoted:
    first = first or _earliest(place, model.date)
    where = f"promotion of the model of {model.date} from {first} on"
    _check_day(place, where, model, first)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    wanted = Promotion(model, first, why, user(), at, strategy, tuple(steps), undoes=undoes)
    lake = place.partitions
    known = promotions.read(lake)
    decided = promotions.in_force(known, first)
    same = decided is not None and _are_same(decided.decided, wanted)
    if not same:
        _check_champion(where, wanted, known)
    published = lake.newest(ModelSelection.dataset)
    if published is not None and first <= published and not rebuild:
        raise PromotionRefused(
            where,
            f"a first day after the newest selection, that of {published}, unless --rebuild says to build these days again",
            str(first),
            f"promote it from {published + _ONE_DAY} on, or give --rebuild",
        )
    made = decided.decided if same and decided is not None else promotions.record(lake, wanted)
    forget_checked()
    found = Promoted(made, not same)
    if rebuild:
        found.rebuilt += _rebuilt(lake, first, watcher)
    return found


def _earliest(place: Place, model: date = date.min) -> date:
    """The first day that a promotion may begin on without building anything again."""
    published = place.partitions.newest(ModelSelection.dataset)
    after = published + _ONE_DAY if published else date.min
    return max(_manual_from(place, "a promotion"), after, model)


def _manual_from(place: Place, where: str) -> date:
    first: date | None = place.settings.selection.manual_from
    if first is None:
        raise ConfigurationError(
            place.settings.said_by("selection", "manual_from"),
            f"the first day whose model a person decides, for {where} to count",
            "none",
            "set [selection] manual_from",
        )
    return first


def _check_day(place: Place, where: str, model: Model, first: date) -> None:
    """Raise PromotionRefused for a first day on which a promotion of the model cannot count."""
    manual = _manual_from(place, where)
    if first < manual:
        raise PromotionRefused(
            where,
            f"a first day from [selection] manual_from on, {manual}",
            str(first),
            f"promote it from {max(manual, model.date)} on, or set manual_from to an earlier day",
        )
    if first < model.date:
        raise PromotionRefused(
            where,
            "a first day that is not before the model's own, which has seen what landed up to it",
            str(first),
            f"promote it from {model.date} on",
        )


def _check_champion(where: str, wanted: Promotion, known: Sequence[Promotion]) -> None:
    """Raise PromotionRefused where nothing is in force that a challenger could be compared with, or the model itself."""
    if wanted.strategy == DIRECT:
        return
    before = promotions.in_force(known, wanted.first_day)
    if before is None:
        raise PromotionRefused(
            where,
            f"a model that is in force before, for the strategy {wanted.strategy}",
            "none that was promoted",
            f"promote one directly first (daystone promote --model DATE --from {wanted.first_day} --why TEXT)",
        )
    if before.champion.model == wanted.model:
        raise PromotionRefused(
            where,
            f"another model than the one in force, for the strategy {wanted.strategy}",
            "the same",
            "name another one (daystone models)",
        )


def _are_same(one: Promotion, other: Promotion) -> bool:
    """Whether two promotions say the same, whoever made them."""
    of = [(each.model, each.first_day, each.strategy, each.steps) for each in (one, other)]
    return of[0] == of[1]


def _rebuilt(lake: Lake, first: date, watcher: runner.Watcher) -> Iterator[date]:
    """Build the published days from a first one on again whose selection follows other promotions, with all that follows
    from it and is there, oldest first."""
    for day in sorted(lake.find(ModelSelection.dataset, first, date.max)):
        task = ModelSelection(date=day)
        if task.follows_promotions():
            changed = False
        else:
            _build(task, watcher)
            changed = True
        for kind in _FOLLOWING:
            changed |= _build_following(lake, kind, day, watcher)
        if changed:
            yield day


def _build_following(lake: Lake, kind: type[Stage], day: date, watcher: runner.Watcher) -> bool:
    """Whether a stage of a day that is there had to be built again, because it was built from another selection."""
    there = lake.find(kind.dataset, day, day).get(day)
    task = kind(date=day)
    is_over = isinstance(task, ShadowInference) and not task.wanted()(day)
    if not isinstance(there, Partition) or is_over:
        return False
    stands = {name: lake.published_run(name, day) for name in (ModelSelection.dataset, BatchInference.dataset)}
    if all(stands.get(given.name, given.ids[0]) == given.ids[0] for given in there.manifest.inputs):
        return False
    _build(task, watcher)
    return True


def _build(stage: Stage, watcher: runner.Watcher) -> None:
    rebuilt = rebuilding.rebuild(stage, watcher)
    if rebuilt.outcome.error is not None:
        raise rebuilt.outcome.error


def parsed_steps(text: str) -> tuple[Step, ...]:
    """The steps of a canary, written ``1:0.05,15:0.25,30:1.0``. Raises ValueError, saying what is wrong."""
    found = []
    for part in text.split(","):
        day, _colon, share = part.partition(":")
        try:
            step = Step(int(day), float(share))
        except ValueError:
            raise ValueError(f"wanted DAY:SHARE, as in 15:0.25; found {part.strip()!r}") from None
        if not 0.0 < step.share <= 1.0:
            raise ValueError(f"wanted a share above 0, at most 1; found {part.strip()!r}")
        found.append(step)
    if found[0].day != 1:
        raise ValueError(f"wanted steps from day 1 on; found {found[0].day}")
    for before, after in itertools.pairwise(found):
        if after.day <= before.day or after.share < before.share:
            raise ValueError(
                f"wanted later days with greater shares; found {after.day}:{after.share:g} after {before.day}:{before.share:g}"
            )
    return tuple(found)
