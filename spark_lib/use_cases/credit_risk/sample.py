"""Sample data for ``credit_risk``: landed days of applications and outcomes, and the truth behind them. It needs no
Spark.

Every value is a hash of what it belongs to (seed, customer, loan). So any day can be written on its own and in chunks,
without the days before it: memory does not grow, and a crash costs one day.

Customers come back although nothing is remembered. Each slot of a day belongs to a line. A line serves a fixed number
of customers, its period, and its cycle has as many days as it has customers. In each cycle every customer borrows once,
on a day that a hash decides. After a hashed number of loans a customer gives way to a new one. So the earlier loans of
a customer follow from the line and the cycle alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_lib.lake.feeds import samples
from spark_lib.lake.feeds.samples import ORIGIN, Directory

#: What the rows of the scored feed are called.
ROWS = "applications"
#: Raise this number when the same arguments give other rows.
VERSION = 1
#: The slots that are computed at a time, which bounds memory, and the rows of a part file.
CHUNK = 250_000

#: Outcomes land after 7 to 20 days; a few only after 21 to 45.
DELAY_DAYS, LATE_DELAY_DAYS, LATE_PER_THOUSAND = (7, 20), (21, 45), 7

APPLICATIONS = pa.schema(
    [
        ("loan_id", pa.string()),
        ("customer_id", pa.string()),
        ("birth_date", pa.date32()),
        ("job_start_date", pa.date32()),
        ("flag_own_car", pa.bool_()),
        ("loan_amount", pa.float64()),
        ("loan_time", pa.timestamp("us", tz="UTC")),
    ]
)
OUTCOMES = pa.schema([("loan_id", pa.string()), ("status", pa.string())])
TRUTH = pa.schema([("loan_id", pa.string()), ("probability", pa.float64()), ("defaulted", pa.bool_())])

#: The number that stands for an unknown date.
UNKNOWN = int(np.iinfo(np.int64).min)

_PERIODS = np.array([3, 5, 8, 13, 21, 34])  # customers of a line, and days of its cycle
_MOST_LOANS = 10  # visits of one customer
_TWIN = 32  # every 32nd slot repeats its neighbour's customer: two loans on one day, half of them at one instant
_ORIGIN_DAY = (ORIGIN - date(1970, 1, 1)).days
_MICROSECONDS_A_DAY = 86_400_000_000
_YEAR_DAYS = 365.25
_ADULT_DAYS, _OLDEST_DAYS, _LONGEST_JOB_DAYS = 18 * _YEAR_DAYS, 70 * _YEAR_DAYS, 25 * _YEAR_DAYS
_UNKNOWN_SHARE = 0.01

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def write(
    raw_dir_for: Callable[[str, date], str | Path],
    truth_dir: str | Path,
    first: date,
    days: int,
    rows_per_day: int,
    seed: int,
    on_day: Callable[[date], None] | None = None,
) -> None:
    """Land ``days`` days of both feeds from ``first`` on: Parquet files in ``raw_dir_for(feed, day)``, then its flag.

    Directories are absolute paths or ``s3://bucket/prefix``; the bytes are the same. A day has exactly ``rows_per_day``
    applications. An outcomes day holds the outcomes that become known that day, of loans applied for since ``first``. A
    day or chunk without rows has no file. ``truth_dir/date=<day>/part-*.parquet`` holds
    ``loan_id, probability, defaulted`` of the day's applications. ``on_day`` is called after each day.

    The rows of a day depend on ``seed``, ``first``, ``rows_per_day`` and the day only, not on ``days``. A second call
    with the same three skips the days that have their flag, finishes the others and goes on with later ones.

    Raises ConfigurationError for arguments out of range, where ``truth_dir`` belongs to a sample with other arguments,
    and where a day's directory has content that no sample of this ``truth_dir`` wrote. Raises LakeError where nothing
    can be written.
    """
    sample = Sample(seed, _number(first), rows_per_day)
    feeds: dict[str, Callable[[date, Directory], None]] = {
        "applications": lambda day, to: _write_applications(sample, day, to, Directory(f"{truth_dir}/date={day}")),
        "outcomes": lambda day, to: _write_outcomes(sample, day, to),
    }
    samples.write(feeds, raw_dir_for, truth_dir, VERSION, first, days, rows_per_day, seed, on_day)


def true_probability(previous: Ints, average: Floats, age: Ints, years: Ints, car: Bools) -> Floats:
    """The probability of default for the five features, from which the sample draws its outcomes.

    ``average`` counts only where ``previous`` is above 0; ``age`` and ``years`` are -1 where the date is unknown.
    """
    log_odds = (
        -1.35
        - 0.45 * np.minimum(previous, 5)
        + np.where(previous > 0, 2.0 * np.clip((average - 300.0) / 900.0, 0.0, 1.0), 0.0)
        + 1.3 * np.clip((45 - np.where(age < 0, 38, age)) / 27.0, -0.5, 1.0)
        - 1.2 * np.clip(np.where(years < 0, 2, years) / 8.0, 0.0, 1.0)
        - 0.6 * car
    )
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)))


@dataclass(frozen=True)
class Loans:
    """Loans as columns of one length; dates are days since 1970, unknown ones ``UNKNOWN``; times are microseconds."""

    number: Ints
    customer: Ints
    birth: Ints
    job_start: Ints
    car: Bools
    amount: Floats
    time: Ints
    previous: Ints
    average: Floats
    probability: Floats
    defaulted: Bools


@dataclass(frozen=True)
class Sample:
    """The pure functions of one sample: loans and delays of (day, slot). Days are counted from ``ORIGIN``."""

    seed: int
    first: int
    rows_per_day: int

    def loans(self, day: Ints, slot: Ints) -> Loans:
        """The loans of those slots on those days (two arrays of one length)."""
        line = slot - (slot % _TWIN == _TWIN - 1)
        has_twin = (line % _TWIN == _TWIN - 2) & (line + 1 < self.rows_per_day)
        period = _PERIODS[self._below(len(_PERIODS), "period", line)]
        cycle = day // period
        place = (day + self._below(period, "shift", line, cycle)) % period
        life = 1 + self._below(_MOST_LOANS, "life", line, place)
        visit = cycle + self._below(life, "offset", line, place)
        generation, earlier_visits = visit // life, visit % life
        who = (line, generation * period + place)

        base = self._customers_amount(*who)
        time = self._time(day, slot, line)
        previous, total = np.zeros_like(slot), np.zeros(len(slot))
        for back in range(1, _MOST_LOANS):
            at = np.flatnonzero(earlier_visits >= back)
            then = self._visit_day(line[at], period[at], place[at], cycle[at] - back)
            at, then = at[then >= self.first], then[then >= self.first]
            previous[at] += 1
            total[at] += self._amount(base[at], then, line[at])
            at, then = at[has_twin[at]], then[has_twin[at]]
            previous[at] += 1
            total[at] += self._amount(base[at], then, line[at] + 1)
        at = np.flatnonzero(has_twin)
        twin = 2 * line[at] + 1 - slot[at]
        before = self._time(day[at], twin, line[at]) < time[at]
        at, twin = at[before], twin[before]
        previous[at] += 1
        total[at] += self._amount(base[at], day[at], twin)
        average = total / np.maximum(previous, 1)

        began = (generation * life - (visit - cycle)) * period  # the first day on which the customer could borrow
        birth, job_start, car = self._person(*who, began + _ORIGIN_DAY)
        today = day + _ORIGIN_DAY
        age, years = completed_years(birth, today), completed_years(job_start, today)
        probability = true_probability(previous, average, age, years, car)
        return Loans(
            number=day * self.rows_per_day + slot,
            customer=who[1] * self.rows_per_day + line,
            birth=birth,
            job_start=job_start,
            car=car,
            amount=self._amount(base, day, slot),
            time=time,
            previous=previous,
            average=average,
            probability=probability,
            defaulted=self._uniform("default", day, slot) < probability,
        )

    def delay(self, day: Ints, slot: Ints) -> Ints:
        """Days until the outcome of a loan lands."""
        draw = self._below(1 << 62, "delay", day, slot)
        late, draw = draw % 1000 < LATE_PER_THOUSAND, draw // 1000
        (shortest, longest), (late_shortest, late_longest) = DELAY_DAYS, LATE_DELAY_DAYS
        usual = shortest + draw % (longest - shortest + 1)
        return np.where(late, late_shortest + draw % (late_longest - late_shortest + 1), usual)

    def _visit_day(self, line: Ints, period: Ints, place: Ints, cycle: Ints) -> Ints:
        """The inverse of ``place`` in ``loans``: the day of that cycle on which that customer borrows."""
        return cycle * period + (place - self._below(period, "shift", line, cycle)) % period

    def _person(self, line: Ints, code: Ints, began: Ints) -> tuple[Ints, Ints, Bools]:
        """Birth date, job start and car of customers, who are of age and employed on the day ``began``."""
        age = _ADULT_DAYS + self._uniform("age", line, code) ** 1.3 * (_OLDEST_DAYS - _ADULT_DAYS)
        longest = np.minimum(age - _ADULT_DAYS, _LONGEST_JOB_DAYS)
        job = self._uniform("job", line, code) ** 2 * longest
        birth, job_start = began - age.astype(np.int64), began - job.astype(np.int64)
        birth[self._uniform("no birth", line, code) < _UNKNOWN_SHARE] = UNKNOWN
        job_start[self._uniform("no job", line, code) < _UNKNOWN_SHARE] = UNKNOWN
        return birth, job_start, self._uniform("car", line, code) < 0.4

    def _customers_amount(self, line: Ints, code: Ints) -> Floats:
        """The usual amount of a customer's loans: 100 to 1,500, small amounts more often."""
        return 100.0 + 1400.0 * self._uniform("base", line, code) ** 2

    def _amount(self, base: Floats, day: Ints, slot: Ints) -> Floats:
        """The amount of a loan, in tens, so that any sum of amounts is exact."""
        return 10.0 * np.rint(base * (0.7 + 0.6 * self._uniform("amount", day, slot)) / 10.0)

    def _time(self, day: Ints, slot: Ints, line: Ints) -> Ints:
        """Microseconds since 1970, in UTC, within the day. Half of the twins have the same time."""
        tied = self._below(2, "tie", day, line) == 0
        instant = self._below(_MICROSECONDS_A_DAY, "time", day, np.where(tied, line, slot))
        return (day + _ORIGIN_DAY) * _MICROSECONDS_A_DAY + instant

    def _below(self, bound: int | Ints, what: str, *parts: Ints) -> Ints:
        return (self._hash(what, *parts) % np.asarray(bound, dtype=np.uint64)).astype(np.int64)

    def _uniform(self, what: str, *parts: Ints) -> Floats:
        return (self._hash(what, *parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _hash(self, what: str, *parts: Ints) -> npt.NDArray[np.uint64]:
        state = _salt(self.seed, what)
        for part in parts:
            state = _mix(state + part.astype(np.uint64))
        return state


def completed_years(since: Ints, at: Ints) -> Ints:
    """Calendar years completed between two dates (days since 1970); -1 where ``since`` is unknown or later."""
    known = (since != UNKNOWN) & (since <= at)
    since_year, since_day = _year_and_day(np.where(known, since, at))
    at_year, at_day = _year_and_day(at)
    return np.where(known, at_year - since_year - (at_day < since_day), -1)


def _year_and_day(days: Ints) -> tuple[Ints, Ints]:
    """The year, and a number that orders its days alike in leap and common years."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    month = months.astype(np.int64)
    return month // 12, month % 12 * 31 + (dates - months.astype("datetime64[D]")).astype(np.int64)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@cache
def _salt(seed: int, what: str) -> npt.NDArray[np.uint64]:
    digest = hashlib.sha256(f"{seed} {what}".encode()).digest()
    return np.frombuffer(digest[:8], dtype="<u8")


def _number(day: date) -> int:
    return (day - ORIGIN).days


def _write_applications(sample: Sample, day: date, to: Directory, truth: Directory) -> None:
    for part, slots in enumerate(_chunks(sample.rows_per_day)):
        loans = sample.loans(np.full_like(slots, _number(day)), slots)
        ids = _ids("L", loans.number, 12)
        columns = [ids, _ids("C", loans.customer, 10), _dates(loans.birth), _dates(loans.job_start), loans.car]
        columns += [loans.amount, pa.array(loans.time).cast(APPLICATIONS.field("loan_time").type)]
        truths = [ids, loans.probability, loans.defaulted]
        truth.write_table(f"part-{part}.parquet", pa.table(truths, schema=TRUTH))
        to.write_table(f"part-{part:05}.parquet", pa.table(columns, schema=APPLICATIONS))


def _write_outcomes(sample: Sample, day: date, to: Directory) -> None:
    today = _number(day)
    oldest = max(sample.first, today - LATE_DELAY_DAYS[1])
    for part, slots in enumerate(_chunks(sample.rows_per_day)):
        known: list[tuple[Ints, Ints]] = []
        for applied in range(oldest, today - DELAY_DAYS[0] + 1):
            due = slots[sample.delay(np.full_like(slots, applied), slots) == today - applied]
            known.append((np.full_like(due, applied), due))
        if not sum(len(due) for _, due in known):
            continue
        days, due = (np.concatenate(column) for column in zip(*known, strict=True))
        order = np.argsort(due, kind="stable")  # by slot, then day: the same rows in the same order for any chunk
        loans = sample.loans(days[order], due[order])
        status = np.where(loans.defaulted, "default", "repaid")
        to.write_table(f"part-{part:05}.parquet", pa.table([_ids("L", loans.number, 12), status], schema=OUTCOMES))


def _chunks(rows: int) -> Iterator[Ints]:
    for start in range(0, rows, CHUNK):
        yield np.arange(start, min(start + CHUNK, rows), dtype=np.int64)


def _ids(letter: str, numbers: Ints, width: int) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(letter, digits, "")


def _dates(days: Ints) -> pa.Array:
    unknown = days == UNKNOWN
    return pa.array(np.where(unknown, 0, days).astype(np.int32), mask=unknown).cast(pa.date32())
