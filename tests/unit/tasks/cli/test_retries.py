"""Which causes of failure a run is repeated for, how often, and after which pauses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from click.testing import CliRunner

from spark_lib import errors
from spark_lib.errors import DaystoneError, LakeError, PublishError, passing
from spark_lib.lake.stores import s3_client
from tasks.cli import exits, main, retries
from tasks.cli.exits import SchedulerUnreachable
from tasks.config import sections
from tests.support.s3 import free_port
from tests.unit.stubs.stublake import prepare


def below(kind: type[DaystoneError]) -> Iterator[type[DaystoneError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith(("spark_lib.", "tasks.")):
            yield child
        yield from below(child)


KINDS = sorted({DaystoneError, *below(DaystoneError)}, key=lambda kind: kind.__name__)
#: The only ones that are ever repeated, with their causes.
REPEATED = {SchedulerUnreachable: "scheduler", LakeError: "store", PublishError: "store"}


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time here."""
    found: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", found.append)
    return found


def values(count: int = 3, delay_seconds: float = 10, on: str = "") -> sections.retries:
    return sections.retries(count=count, delay_seconds=delay_seconds, on=on)


def error_of(kind: type[DaystoneError]) -> DaystoneError:
    return kind("here", "this", "that", "look")


class Failing:
    """Raises these errors, one a call, and then returns."""

    def __init__(self, *raised: DaystoneError) -> None:
        self._left = list(raised)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self._left:
            raise self._left.pop(0)
        return "built"


def test_every_class_of_error_is_in_the_table() -> None:
    assert set(KINDS) == set(retries.CAUSES)
    assert {kind: cause for kind, cause in retries.CAUSES.items() if cause} == REPEATED


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.exit_code}-{kind.__name__}")
def test_a_cause_is_repeated_only_where_it_can_pass(slept: list[float], kind: type[DaystoneError]) -> None:
    run, expected = Failing(passing(error_of(kind))), kind in REPEATED

    if expected:
        assert retries.repeated(run, values(), lambda words: None) == "built"
    else:
        with pytest.raises(kind):
            retries.repeated(run, values(), lambda words: None)

    assert (run.calls, len(slept)) == ((2, 1) if expected else (1, 0))


@pytest.mark.parametrize("kind", [LakeError, PublishError])
def test_an_error_of_the_store_that_does_not_pass_by_itself_is_not_repeated(
    slept: list[float], kind: type[DaystoneError]
) -> None:
    run = Failing(error_of(kind))

    with pytest.raises(kind):
        retries.repeated(run, values(), lambda words: None)

    assert (run.calls, slept) == (1, [])


@pytest.mark.parametrize(("on", "kind"), [("scheduler", LakeError), ("store", SchedulerUnreachable)])
def test_a_cause_that_is_not_named_is_not_repeated(slept: list[float], on: str, kind: type[DaystoneError]) -> None:
    with pytest.raises(kind):
        retries.repeated(Failing(passing(error_of(kind))), values(on=on), lambda words: None)

    assert slept == []


def test_an_adopters_own_error_counts_as_what_it_is_derived_from(slept: list[float]) -> None:
    class Elsewhere(LakeError):
        exit_code = 99

    assert retries.repeated(Failing(passing(error_of(Elsewhere))), values(), lambda words: None) == "built"


def test_the_number_of_repetitions_is_bounded_and_the_last_error_is_the_reason(slept: list[float]) -> None:
    raised = [passing(LakeError("here", "this", f"that {number}", "look")) for number in range(4)]
    run, said = Failing(*raised), []

    with pytest.raises(LakeError) as last:
        retries.repeated(run, values(count=3), said.append)

    assert (run.calls, last.value.found) == (4, "that 3")
    assert said[0] == "store: here: wanted this; found that 0. Next: look"
    assert said[1] == f"repeated in {slept[0]:.0f} s (1 of 3 repetitions)"
    assert len(said) == 6


def test_nothing_is_repeated_by_default(slept: list[float]) -> None:
    run = Failing(passing(error_of(LakeError)))

    with pytest.raises(LakeError):
        retries.repeated(run, sections.retries(), lambda words: None)

    assert (run.calls, slept) == (1, [])


def test_pauses_grow_are_drawn_and_are_bounded() -> None:
    pauses = [[retries.pause(number, 60) for _ in range(200)] for number in range(1, 11)]

    for number, drawn in enumerate(pauses):
        mean = min(60 * 2**number, 3_600)
        assert 0.5 * mean <= min(drawn) < max(drawn) <= 1.5 * mean
        assert len(set(drawn)) > 100


@pytest.mark.parametrize(
    ("code", "status", "passes"),
    [
        ("SlowDown", 503, True),
        ("InternalError", 500, True),
        ("ServiceUnavailable", 503, True),
        ("RequestTimeout", 400, True),
        ("TooManyRequests", 429, True),
        ("AccessDenied", 403, False),
        ("NoSuchBucket", 404, False),
        ("ExpiredToken", 400, False),
        ("RequestTimeTooSkewed", 403, False),
    ],
)
def test_an_answer_of_s3_may_pass_where_the_server_is_the_reason(code: str, status: int, passes: bool) -> None:
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    with pytest.raises(LakeError) as raised, s3_client.told("s3://here"):
        raise ClientError(answer, "PutObject")  # type: ignore[arg-type]  # its other keys are not looked at

    assert raised.value.may_pass is passes
    assert retries.cause_of(raised.value) == ("store" if passes else "")


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://there"),
        ReadTimeoutError(endpoint_url="http://there"),
        OSError("reset"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_store_that_does_not_answer_may_answer_later(error: Exception) -> None:
    with pytest.raises(LakeError) as raised, s3_client.told("s3://here"):
        raise error

    assert retries.cause_of(raised.value) == "store"


def test_a_certificate_that_is_refused_stays_refused() -> None:
    from botocore.exceptions import SSLError

    with pytest.raises(LakeError) as raised, s3_client.told("s3://here"):
        raise SSLError(endpoint_url="https://there", error="certificate verify failed")

    assert retries.cause_of(raised.value) == ""


def test_an_error_remembers_that_it_may_pass_when_another_process_has_raised_it() -> None:
    import pickle

    again = pickle.loads(pickle.dumps(passing(error_of(LakeError))))  # noqa: S301  (its own)

    assert again.may_pass
    assert not error_of(LakeError).may_pass


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("run", ["features", "--date", "2026-01-05"]), ("backfill", ["--from", "2026-01-05", "--to", "2026-01-05"])],
)
def test_a_verb_whose_scheduler_is_away_is_repeated_and_exits_with_41(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slept: list[float], verb: str, arguments: list[str]
) -> None:
    away = f"[core]\nlocal_scheduler = false\nscheduler_url = http://127.0.0.1:{free_port()}\n"
    settings = f"{away}[retries]\ncount = 2\ndelay_seconds = 1\n[log]\ndirectory = {tmp_path}/logs\n"
    lake = prepare(monkeypatch, tmp_path / "lake", settings)
    lake.land(date(2026, 1, 31))

    result = CliRunner().invoke(main.main, [verb, *arguments])

    said = [line for line in result.stderr.splitlines() if "repeated in" in line]
    assert result.exit_code == exits.SchedulerUnreachable.exit_code
    assert len(said) == len(slept) == 2
    assert said[1].endswith("(2 of 2 repetitions)")


def test_a_store_that_answers_again_is_the_end_of_the_repetitions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slept: list[float]
) -> None:
    import spark_lib.stages.features

    lake = prepare(monkeypatch, tmp_path / "lake", f"[retries]\ncount = 2\n[log]\ndirectory = {tmp_path}/logs\n")
    lake.land(date(2026, 1, 31))
    build, failures = spark_lib.stages.features.build, [passing(error_of(LakeError))]

    def once_away(*given: object) -> object:
        if failures:
            raise failures.pop()
        return build(*given)  # type: ignore[arg-type]  # as the stage gives them

    monkeypatch.setattr(spark_lib.stages.features, "build", once_away)

    result = CliRunner().invoke(main.main, ["run", "features", "--date", "2026-01-05"])

    assert result.exit_code == 0, result.output
    assert len(slept) == 1
    assert "store: here: wanted this; found that. Next: look" in result.stderr
    assert set(lake.published("features")) == {date(2026, 1, 5)}
    assert errors.LakeError.exit_code == 36
