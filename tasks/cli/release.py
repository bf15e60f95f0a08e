"""Records what people decide about the release of a day, and judges the day again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from spark_lib.errors import DaystoneError, NothingToDecide
from spark_lib.lake import Lake, Partition
from spark_lib.release import decision
from spark_lib.release.decision import HOLD, RELEASE, REVOKE_HOLD, REVOKE_RELEASE, REVOKE_ROLLBACK, ROLLBACK, Decision
from spark_lib.release.document import Summary
from tasks.cli import run as runner
from tasks.cli.user import user
from tasks.inference import BatchInference
from tasks.release import Release


@dataclass(frozen=True)
class Decided:
    """``made`` is what was decided, and ``verdict`` what the day is then; None where it has no predictions yet."""

    made: Decision
    verdict: Summary | None


def release(day: date, why: str, watcher: runner.Watcher) -> Decided:
    """Release a held day for exactly the reasons that its verdict names.

    Raises NotPublished where the day has no predictions, and NothingToDecide where it is released, or where a person
    holds it.
    """
    task = Release(date=day)
    task.partitions.require(BatchInference.dataset, day)
    found = _judged(task, watcher)
    if not found.is_held:
        raise NothingToDecide(
            f"release of {day}", "a day that is held", "a released one", "go on: there is nothing to release it from"
        )
    hold = decision.read(task.partitions, day).hold
    if hold is not None:
        raise _held_already(f"release of {day}", "a day that checks alone hold", hold, day)
    made = _recorded(task.partitions, day, RELEASE, why, tuple(check.name for check in found.reasons))
    verdict = _judged(task, watcher)
    if verdict.is_held:
        raise DaystoneError(
            f"release of {day}",
            "a released day, after the decision was recorded",
            str(verdict),
            f"look at the new reasons (daystone why release --date {day}), and release it from them, too",
        )
    return Decided(made, verdict)


def hold(day: date, why: str, watcher: runner.Watcher) -> Decided:
    """Hold a day, whatever its checks say, until that is revoked. Raises NothingToDecide where a hold stands."""
    task = Release(date=day)
    standing = decision.read(task.partitions, day).hold
    if standing is not None:
        raise _held_already(f"hold of {day}", "a day that nobody holds", standing, day)
    return _decided(task, HOLD, why, watcher)


def withdraw(day: date, why: str, watcher: runner.Watcher) -> Decided | None:
    """Hold a day so that nothing is in force for it, whatever was released before. Returns None where that is so
    already."""
    task = Release(date=day)
    found = task.partitions.find(task.dataset, day, day).get(day)
    in_force = Summary.of(found.manifest.metrics).in_force if isinstance(found, Partition) else None
    if in_force is None and decision.read(task.partitions, day).hold is not None:
        return None
    return _decided(task, HOLD, why, watcher, () if in_force is None else (in_force.run,))


def revoke_hold(day: date, why: str, watcher: runner.Watcher) -> Decided:
    """Revoke the hold of a day. Raises NothingToDecide where none stands."""
    task = Release(date=day)
    if decision.read(task.partitions, day).hold is None:
        raise _nothing_to_revoke("hold", day, "hold")
    return _decided(task, REVOKE_HOLD, why, watcher)


def rollback(day: date, why: str, watcher: runner.Watcher) -> Decided:
    """Put what the model before a blue-green release says of a day in force.

    Raises NothingToDecide where that is so already, or where the day has another strategy, NotPublished where that model
    has not scored the day, and DamagedPartition where its scores are not whole.
    """
    from spark_lib.stages.release import the_model_before

    task = Release(date=day)
    standing = decision.read(task.partitions, day).rollback
    if standing is not None:
        raise NothingToDecide(
            f"rollback of {day}",
            "a day that has its own model's scores",
            f"one that {standing.by} rolled back at {standing.at}: {standing.why}",
            f"revoke that, where its own model is right (daystone rollback --date {day} --revoke --why TEXT)",
        )
    the_model_before(task.partitions, day)
    return _decided(task, ROLLBACK, why, watcher)


def revoke_rollback(day: date, why: str, watcher: runner.Watcher) -> Decided:
    """Put the scores of a day's own model in force again. Raises NothingToDecide where no rollback stands."""
    task = Release(date=day)
    if decision.read(task.partitions, day).rollback is None:
        raise _nothing_to_revoke("rollback", day, "rollback")
    return _decided(task, REVOKE_ROLLBACK, why, watcher)


def revoke_release(day: date, why: str, watcher: runner.Watcher) -> Decided:
    """Revoke what people have released a day from. Raises NothingToDecide where there is nothing."""
    task = Release(date=day)
    if not decision.read(task.partitions, day).excused:
        raise _nothing_to_revoke("release", day, "release by a person")
    return _decided(task, REVOKE_RELEASE, why, watcher)


def _decided(
    task: Release, action: str, why: str, watcher: runner.Watcher, out_of_force: tuple[str, ...] = ()
) -> Decided:
    """Record a decision, and judge the day again where it has predictions."""
    made = _recorded(task.partitions, task.date, action, why, runs=out_of_force)
    scored = task.partitions.find(BatchInference.dataset, task.date, task.date)
    return Decided(made, _judged(task, watcher) if isinstance(scored.get(task.date), Partition) else None)


def _judged(task: Release, watcher: runner.Watcher) -> Summary:
    """The verdict on the run that is published now, by the decisions that stand."""
    outcome = runner.run(task, watcher)
    if outcome.error is not None:
        raise outcome.error
    (there,) = task.partitions.require(task.dataset, task.date)
    return Summary.of(there.manifest.metrics)


def _recorded(
    lake: Lake, day: date, action: str, why: str, reasons: tuple[str, ...] = (), runs: tuple[str, ...] = ()
) -> Decision:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return decision.record(lake, day, Decision(action, why, user(), at, reasons, runs=runs))


def _held_already(where: str, wanted: str, by: Decision, day: date) -> NothingToDecide:
    found = f"one that {by.by} has held since {by.at}: {by.why}"
    return NothingToDecide(where, wanted, found, f"revoke that first (daystone hold --date {day} --revoke --why TEXT)")


def _nothing_to_revoke(verb: str, day: date, what: str) -> NothingToDecide:
    step = f"look at what holds the day (daystone why release --date {day})"
    return NothingToDecide(f"{verb} --revoke of {day}", f"a {what} that stands", "none", step)
