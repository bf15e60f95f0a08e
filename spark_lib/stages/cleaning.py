"""Cleans days of a feed: rows that break a rule, and rows that are there more than once, go to the quarantine.

Every row that has landed is in one of the two sections of its day, so that their numbers add up. A day is cleaned from raw
days alone: whether a key was there before is asked of the raw days before it, and never of what became of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from spark_lib.errors import BadData, ConfigurationError, UseCaseError, did_you_mean
from spark_lib.frames import raw as raw_feeds
from spark_lib.frames.files import (
    columns_of,
    digests_of_days,
    schema_of,
    unreadable_files_named,
    write_parquet,
    write_partitioned,
)
from spark_lib.frames.raw import MISFITS, as_landed
from spark_lib.lake import QUARANTINE, Attempt, RawDays, Rows
from spark_lib.lake.attempt import SECTION
from spark_lib.use_case.ddl import quoted
from spark_lib.use_case.declarations import BETWEEN_RULES, NEVER_NULL, REPEATED, SEEN, TYPES
from spark_lib.use_case.keys import names, value

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

    from spark_lib.lake import RawDay
    from spark_lib.use_case import Feed, UseCase

#: Columns that are added to rows while they are judged, and never written. No column of a cleaned feed begins so.
_PLACE, _BEFORE = "_place", "_before"
#: The digest of no rows.
_NO_ROWS = "0-0-0"
_FLOATS = ("float", "double")
_NEXT = "land the day again, then run again"
#: The figures of a clean day in its manifest.
LANDED, BROKEN, RULES = "landed", "broken", "rules"


@dataclass(frozen=True)
class Counted:
    """The rows of a day: all that ``landed``, those that break at least one rule, how many break each of the ``rules``,
    those that pass all and repeat a key of the day, and of the rest those whose key passed on an earlier day."""

    landed: int = 0
    broken: int = 0
    rules: Mapping[str, int] | None = None
    repeated: int = 0
    seen: int = 0

    @property
    def clean(self) -> int:
        return self.landed - self.quarantined

    @property
    def quarantined(self) -> int:
        return self.broken + self.repeated + self.seen

    def metrics(self) -> dict[str, Any]:
        """The figures as a manifest has them."""
        return {
            LANDED: self.landed,
            BROKEN: self.broken,
            RULES: {**(self.rules or {}), REPEATED: self.repeated, SEEN: self.seen},
        }


@unreadable_files_named()
def build(spark: SparkSession, case: UseCase, raw: RawDays, url: str, file_rows: int) -> Rows:
    """Write the newest day of ``raw`` below ``url``: the rows that pass, and in the section ``QUARANTINE`` all others.

    ``raw`` holds that day and those of the ``unique_days`` before it. Raises BadData for a day that the declaration of the
    feed refuses, and ConfigurationError for a rule that cannot be computed.
    """
    cleaning = _Cleaning(spark, case, raw, {raw.last.date})
    counted = cleaning.counted()[raw.last.date]
    written = write_parquet(cleaning.clean(), url, file_rows)
    kept_apart = 0
    if counted.quarantined:  # a job without a row would write a file
        kept_apart = write_parquet(cleaning.quarantined(), f"{url}/{SECTION}={QUARANTINE}", file_rows)["rows"]
    found = {"": written["rows"], QUARANTINE: kept_apart}
    _check_nothing_lost(cleaning.where(raw.last.date), counted, found)
    return cleaning.rows(counted, found, written["digest"])


@unreadable_files_named()
def build_days(spark: SparkSession, case: UseCase, raw: RawDays, attempt: Attempt, file_rows: int) -> dict[date, Rows]:
    """Write all days of ``attempt``, each into a directory of its own, by as many jobs as one day takes.

    ``raw`` holds these days, and of each the ``unique_days`` before it. Raises what ``build`` raises, for any of the days;
    then nothing is to be published, and each day can be built alone.
    """
    from pyspark.sql import functions as F

    first, last = attempt.days[0], attempt.days[-1]
    spark.sparkContext.setJobDescription(f"{attempt.dataset} of {first} to {last} ({len(attempt.days):,} days)")
    cleaning = _Cleaning(spark, case, raw, set(attempt.days))
    counted = cleaning.counted()
    places = {"date": F.col("landed"), "run": F.lit(attempt.run), SECTION: F.lit(QUARANTINE)}

    def written(rows: DataFrame, by: Sequence[str]) -> int:
        placed = rows.select("*", *(places[column].alias(column) for column in by)).drop("landed")
        found: int = write_partitioned(placed, attempt.destination, file_rows, by)["rows"]
        return found

    clean = written(cleaning.clean("landed"), attempt.partition_by)
    directories = {day: attempt.written(day) for day in attempt.days if counted[day].clean}
    # The digests are those of the rows that pass. They are read before the quarantine lies below the same directories.
    digests = digests_of_days(spark, directories, cleaning.schema)
    kept_apart = 0
    if any(of_day.quarantined for of_day in counted.values()):
        kept_apart = written(cleaning.quarantined("landed"), [*attempt.partition_by, SECTION])
    landed = sum(of_day.landed for of_day in counted.values())
    quarantined = sum(of_day.quarantined for of_day in counted.values())
    where = f"raw feed {raw.feed.name} of {first} to {last}"
    _check_nothing_lost(where, Counted(landed, quarantined), {"": clean, QUARANTINE: kept_apart})
    return {
        day: cleaning.rows(found, {"": found.clean, QUARANTINE: found.quarantined}, digests.get(day, _NO_ROWS))
        for day, found in counted.items()
    }


def passing(spark: SparkSession, case: UseCase, feed: str, rows: DataFrame) -> DataFrame:
    """Those of some rows of a feed, as ``read_fitting`` returns them, that pass its rules, each key of a day once. It is for
    a look at first rows: no day is refused, and none before is asked. Raises ConfigurationError for a rule that cannot be
    computed, and UseCaseError for one that fails at a row."""
    from pyspark.sql import functions as F

    check_rules(spark, case, feed)
    good = rows.where(_passes(_rules(case, feed)))
    with _rules_named(case, feed):
        good.write.format("noop").mode("overwrite").save()
    return _placed(case, feed, good).where(F.col(_PLACE) == 1).drop(MISFITS, _PLACE)


def check_rules(spark: SparkSession, case: UseCase, feed: str) -> None:
    """Raise ConfigurationError for the first rule of a feed that is no condition over its declared columns, or that
    depends on anything but them."""
    from pyspark.errors import AnalysisException, ParseException
    from pyspark.sql import functions as F

    declared = case.feeds[feed]
    empty = spark.createDataFrame([], declared.schema)
    jvm = spark.sparkContext._jvm
    assert jvm is not None  # a running session has one
    patterns = getattr(getattr(jvm.org.apache.spark.sql.catalyst.trees, "TreePattern$"), "MODULE$")
    for name, condition in declared.rules.items():
        where = f"rule {name!r} of feed {feed!r} of {type(case).__name__}"
        wanted = "a condition in Spark SQL over the declared columns, true or false for each row alone"
        next_step = "correct the rule"
        try:
            plan = empty.where(F.expr(condition))._jdf.queryExecution().analyzed()
        except (AnalysisException, ParseException) as error:
            raise ConfigurationError(where, wanted, _fault(error, declared), next_step) from error
        if plan.containsPattern(patterns.PLAN_EXPRESSION()):
            raise ConfigurationError(where, wanted, f"a query in {condition!r}", next_step)
        if plan.containsPattern(patterns.CURRENT_LIKE()) or not plan.deterministic():
            found = f"{condition!r}, which is another one at another time"
            raise ConfigurationError(where, "a condition that depends on the row alone", found, next_step)


def _fault(error: Any, feed: Feed) -> str:
    """What is wrong with a condition, in one line."""
    if not (error.getCondition() or "").startswith("UNRESOLVED_COLUMN"):
        return _said(error)
    name = error.getMessageParameters()["objectName"].replace("`", "")
    return f"{name!r}{did_you_mean(name, columns_of(feed.schema))}, which is none of them"


def _said(error: Any) -> str:
    """What Spark says of a condition, in one line."""
    condition = error.getCondition() or ""
    told = str(error.getMessage() if condition else error).split("\n", 1)[0].strip().rstrip(".")
    return told.partition(" SQLSTATE")[0].rstrip(". ;")


def too_many_broken(where: str, feed: Feed, counted: Counted, example: str) -> BadData:
    """The error for a day of which more rows break rules than may. ``example`` says why one does."""
    share = counted.broken / counted.landed
    return BadData(
        where,
        f"at most {feed.most_quarantined:.4g} of the rows to break rules (max_quarantined of the feed)",
        f"{share:.4g}, {counted.broken:,} of {counted.landed:,} rows: {_in_words(counted.rules or {})}, as {example}",
        f"{_NEXT}; or correct the rules, or raise max_quarantined; nothing was published",
    )


def repeated_key(where: str, feed: Feed, too_many: int, example: object, times: int) -> BadData:
    """The error for a day on which keys repeat, of a feed that does not say what becomes of them."""
    rows = f"{too_many:,} rows too many, as {example!r} {times} times"
    return BadData(where, f"each {feed.key!r} once", rows, f"{_NEXT}, or declare `duplicates`")


@dataclass(frozen=True)
class _Rule:
    """What a row ``breaks`` or not, never null, and the ``reason`` in words for one that does."""

    name: str
    breaks: Column
    reason: Column


def _rules(case: UseCase, feed: str) -> list[_Rule]:
    """All that a row of a feed is judged by alone: its values fit their types, what must not be null is not, and the rules
    that are declared."""
    from pyspark.sql import functions as F

    nulls = {column: F.col(quoted(column)).isNull() for column in case.never_null(feed)}
    said = F.concat_ws(", ", *(F.when(is_null, F.lit(repr(column))) for column, is_null in nulls.items()))
    found = [
        _Rule(TYPES, F.col(MISFITS).isNotNull(), F.col(MISFITS)),
        _Rule(NEVER_NULL, reduce(or_, nulls.values()), F.concat(F.lit("null in "), said)),
    ]
    for name, text in case.feeds[feed].rules.items():
        condition = F.expr(text)
        outcome = F.when(condition.isNull(), F.lit("null")).otherwise(F.lit("false"))
        is_broken = ~F.coalesce(condition, F.lit(False))
        found.append(_Rule(name, is_broken, F.concat(F.lit(f"{text} is "), outcome)))
    return found


def _passes(rules: Sequence[_Rule]) -> Column:
    return reduce(and_, (~rule.breaks for rule in rules))


class _Cleaning:
    """Some ``days`` of a feed that are cleaned together, among ``raw`` days."""

    def __init__(self, spark: SparkSession, case: UseCase, raw: RawDays, days: Collection[date]) -> None:
        self._spark, self._case, self._raw = spark, case, raw
        self._feed: Feed = case.feeds[raw.feed.name]
        self._days = raw.of(days)
        self._key = list(names(self._feed.key))
        self._columns = columns_of(self._feed.schema)
        check_rules(spark, case, raw.feed.name)
        self._rules = _rules(case, raw.feed.name)
        self._counted: dict[date, Counted] = {}
        self.schema = schema_of(self._declared(self._read()))

    def where(self, day: date) -> str:
        return f"raw feed {self._raw.feed.name} of {day}: {self._raw.feed.directory(day)}"

    def rows(self, counted: Counted, found: Mapping[str, int], digest: str) -> Rows:
        """What is published of a day."""
        schemas = {QUARANTINE: schema_of(self._of_quarantine(self._read(with_texts=True)))}
        return Rows(found, self.schema, counted.metrics(), digest=digest, schemas=schemas)

    def counted(self) -> dict[date, Counted]:
        """The figures of each day, by one aggregate over its rows, and by a second one where keys are to be unique for
        days. Raises BadData for the first day that is refused."""
        from pyspark.sql import functions as F

        passes = _passes(self._rules)
        counts = (
            self._read()
            .groupBy("landed")
            .agg(
                F.count(F.lit(1)).alias("rows"),
                F.count_if(passes).alias("passed"),
                *(F.count_if(rule.breaks).alias(f"_{place}") for place, rule in enumerate(self._rules)),
                # Two keys may share a hash, so that fewer hashes than rows prove nothing, but as many prove that no key is
                # there twice.
                F.count_distinct(F.when(passes, F.xxhash64(*self._key))).alias("hashes"),
            )
        )
        with _rules_named(self._case, self._raw.feed.name):
            found = {row["landed"]: row for row in counts.collect()}
        repeated = self._repeated([day for day, row in found.items() if row["hashes"] != row["passed"]])
        for raw_day in self._days.days:
            self._counted[raw_day.date] = self._of_day(raw_day, found.get(raw_day.date), repeated)
        if self._feed.unique_days:
            rows = self._seen().groupBy("landed").count().collect()
            seen = {row["landed"]: row["count"] for row in rows}
            for day, counts_of_day in self._counted.items():
                self._counted[day] = _with_seen(counts_of_day, seen.get(day, 0))
        return self._counted

    def clean(self, *more: str) -> DataFrame:
        """The rows that pass, with the declared columns and ``more``."""
        from pyspark.sql import functions as F

        good = self._read().where(_passes(self._rules))
        if any(counted.repeated for counted in self._counted.values()):
            good = _placed(self._case, self._raw.feed.name, good).where(F.col(_PLACE) == 1)
        if any(counted.seen for counted in self._counted.values()):
            good = good.join(self._seen(), ["landed", *self._key], "left_anti")
        return good.select(*map(quoted, self._columns), *more)

    def quarantined(self, *more: str) -> DataFrame:
        """All other rows, as they landed, with the rules that each breaks and in words why, and ``more``."""
        from pyspark.sql import functions as F

        rows = self._read(with_texts=True)
        passes = _passes(self._rules)
        broken = rows.where(~passes).withColumns({_PLACE: F.lit(1), _BEFORE: F.lit(None).cast("date")})
        counts = self._counted.values()
        if not any(counted.repeated or counted.seen for counted in counts):
            return self._of_quarantine(broken, *more)
        texts = [as_landed(place) for place in range(len(self._columns))]
        good = _placed(self._case, self._raw.feed.name, rows.where(passes), texts)
        if any(counted.seen for counted in counts):
            good = good.join(self._seen(), ["landed", *self._key], "left")
        else:
            good = good.withColumn(_BEFORE, F.lit(None).cast("date"))
        twice = good.where((F.col(_PLACE) > 1) | F.col(_BEFORE).isNotNull())
        return self._of_quarantine(broken.unionByName(twice), *more)

    def _of_quarantine(self, rows: DataFrame, *more: str) -> DataFrame:
        """The columns of the quarantine."""
        from pyspark.sql import functions as F

        for column, kind in ((_PLACE, "int"), (_BEFORE, "date")):
            if column not in rows.columns:
                rows = rows.withColumn(column, F.lit(None).cast(kind))
        kept = {
            "error": "another row of this key is there",
            "identical": "an equal row is there",
            "newest": "another row of this key is newer",
        }[self._feed.duplicates]
        seen = F.concat(F.lit("this key passed the rules on "), F.col(_BEFORE).cast("string"))
        rules = [
            *self._rules,
            _Rule(REPEATED, F.coalesce(F.col(_PLACE) > 1, F.lit(False)), F.lit(kept)),
            _Rule(SEEN, F.col(_BEFORE).isNotNull(), seen),
        ]
        as_it_was = [F.col(as_landed(place)).alias(name) for place, name in enumerate(self._columns)]
        broken = F.concat_ws(BETWEEN_RULES, *(F.when(rule.breaks, F.lit(rule.name)) for rule in rules))
        reasons = F.concat_ws(BETWEEN_RULES, *(F.when(rule.breaks, rule.reason) for rule in rules))
        return rows.select(*as_it_was, broken.alias("rule"), reasons.alias("reason"), *more)

    def _read(self, with_texts: bool = False) -> DataFrame:
        return raw_feeds.read_fitting(self._spark, self._days, self._feed, with_texts)

    def _declared(self, rows: DataFrame) -> DataFrame:
        return rows.select(*map(quoted, self._columns))

    def _repeated(self, days: Collection[date]) -> dict[date, Row]:
        """Of each of some days on which keys repeat, and of no other, how many rows are too many, how many keys have
        rows that differ, and an example of a key."""
        from pyspark.sql import functions as F

        if not days:
            return {}
        columns = [column for column in self._columns if column not in self._key]
        values = F.struct(*(F.col(quoted(column)) for column in columns)) if columns else F.lit(0)
        can_compare = self._feed.duplicates == "identical"
        differ = F.min(values) != F.max(values) if can_compare else F.lit(False)
        rows = self._read().where(F.col("landed").isin(*days) & _passes(self._rules))
        by_key = rows.groupBy("landed", *self._key).agg(F.count(F.lit(1)).alias("_times"), differ.alias("_differ"))
        example = F.struct(*self._key, "_times")
        found = (
            by_key.where("_times > 1")
            .groupBy("landed")
            .agg(
                F.sum(F.col("_times") - 1).alias("too_many"),
                F.count_if("_differ").alias("differ"),
                F.min(example).alias("example"),
                F.min(F.when(F.col("_differ"), example)).alias("differing"),
            )
        )
        return {row["landed"]: row for row in found.collect()}

    def _of_day(self, raw_day: RawDay, row: Row | None, repeated: Mapping[date, Row]) -> Counted:
        """The figures of a day. Raises BadData where the day is refused."""
        day, where, feed = raw_day.date, self.where(raw_day.date), self._raw.feed
        landed = row["rows"] if row else 0
        if landed < feed.min_rows:
            least = f"at least {feed.min_rows:,} rows ([raw.{feed.name}] min_rows)"
            raise BadData(where, least, f"{landed:,}", "land the whole day, or lower min_rows")
        if row is None:
            return Counted(rules={rule.name: 0 for rule in self._rules})
        rules = {rule.name: row[f"_{place}"] for place, rule in enumerate(self._rules)}
        broken = landed - row["passed"]
        if broken > self._feed.most_quarantined * landed:
            raise too_many_broken(where, self._feed, Counted(landed, broken, rules), self._example(day))
        too_many = 0
        if day in repeated:
            self._check_repeated(where, repeated[day])
            too_many = repeated[day]["too_many"]
        return Counted(landed, broken, rules, too_many)

    def _check_repeated(self, where: str, found: Row) -> None:
        """Raise BadData for a day on which keys repeat, where the feed does not allow it."""
        if self._feed.duplicates == "error":
            of = found["example"]
            raise repeated_key(where, self._feed, found["too_many"], value(of, self._feed.key), of["_times"])
        if found["differ"]:
            of = found["differing"]
            raise BadData(
                where,
                f"rows of one {self._feed.key!r} to be equal in every column (duplicates = 'identical')",
                f"{found['differ']:,} with rows that differ, as {value(of, self._feed.key)!r}",
                f"{_NEXT}, or declare duplicates = 'newest'",
            )

    def _example(self, day: date) -> str:
        """Why a row of a day breaks the rules: the one whose reason comes first in the order of texts."""
        from pyspark.sql import functions as F

        rows = self._read(with_texts=True).where((F.col("landed") == F.lit(day)) & ~_passes(self._rules))
        found = self._of_quarantine(rows).agg(F.min("reason").alias("reason")).first()
        return str(found["reason"]) if found else ""

    def _seen(self) -> DataFrame:
        """The days and keys of the days to clean whose key passed the rules on one of the ``unique_days`` before, with the
        last of these."""
        from pyspark.sql import Window
        from pyspark.sql import functions as F

        landed = raw_feeds.read_fitting(self._spark, self._raw, self._feed).where(_passes(self._rules))
        in_time = Window.partitionBy(*self._key).orderBy("landed")
        known = landed.select("landed", *self._key).distinct().withColumn(_BEFORE, F.lag("landed").over(in_time))
        recent = F.col(_BEFORE) >= F.date_sub("landed", self._feed.unique_days)
        asked = [day.date for day in self._days.days]
        return known.where(recent & F.col("landed").isin(*asked))


def _placed(case: UseCase, feed: str, rows: DataFrame, texts: Sequence[str] = ()) -> DataFrame:
    """Add the place of each row among the rows of its day with the same key: the first one is kept.

    It is the one with the greatest event time, then that with the greatest columns in the order of the schema. Two rows
    that are equal in these may still differ in how they were written, which ``texts`` have.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    declared = case.feeds[feed]
    kinds, key, event_time = columns_of(declared.schema), names(declared.key), case.event_time_of(feed)
    if declared.duplicates == "error":
        return rows.withColumn(_PLACE, F.lit(1))  # a day on which keys repeat is refused
    order = [column for column in kinds if column not in (*key, event_time)]
    columns = [F.col(quoted(column)) for column in [*([event_time] if event_time else []), *order]]
    # 0.0 and -0.0 are equal where rows are ordered, and are not the same number.
    columns += [F.col(quoted(column)).cast("string") for column in kinds if kinds[column] in _FLOATS]
    latest_first = [F.desc_nulls_last(column) for column in [*columns, *map(F.col, texts)]]
    window = Window.partitionBy("landed", *key).orderBy(*latest_first)
    return rows.withColumn(_PLACE, F.row_number().over(window))


def _with_seen(counted: Counted, seen: int) -> Counted:
    return Counted(counted.landed, counted.broken, counted.rules, counted.repeated, seen)


def _in_words(rules: Mapping[str, int]) -> str:
    """How many rows break each rule, the most frequent first."""
    ordered = sorted(((count, name) for name, count in rules.items() if count), key=lambda pair: (-pair[0], pair[1]))
    return ", ".join(f"{name} {count:,}" for count, name in ordered)


def _check_nothing_lost(where: str, counted: Counted, found: Mapping[str, int]) -> None:
    """Raise BadData unless each row that landed is in one of the sections."""
    wanted = {"": counted.clean, QUARANTINE: counted.quarantined}
    if wanted != dict(found):
        raise BadData(
            where,
            f"{wanted['']:,} rows that pass and {wanted[QUARANTINE]:,} in quarantine, as they were counted",
            f"{found['']:,} and {found[QUARANTINE]:,} when they were written",
            "run again once the feed stays as it is; nothing was published",
        )


@contextmanager
def _rules_named(case: UseCase, feed: str) -> Iterator[None]:
    """Turn a rule's failure at some row into an error that says what to do about it."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        state = error.getSqlState() or ""
        if not state.startswith("22"):  # data exceptions of SQL, such as a division by zero
            raise
        raise UseCaseError(
            f"a rule of feed {feed!r} of {type(case).__name__}",
            "a condition that can be computed for every row",
            _said(error),
            "let what cannot be computed be null, which breaks the rule (try_cast, try_divide, try_add); nothing was "
            "published",
        ) from error
