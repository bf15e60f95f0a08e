"""The fault matrix from the command line.

python -m tests.faults [--seeds N] [--drawn N [--draw-seed N]] [--only NAME [--seed N]] [--no-spark] [--table FILE]
"""

from __future__ import annotations

import argparse
import fnmatch
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults import damage, killed, machine, matrix, publication, requests, scheduler, spark, together
from tests.faults.matrix import Case
from tests.faults.publication_world import Worlds as PublicationWorlds
from tests.faults.spark_world import SparkWorlds
from tests.faults.world import Worlds, undisturbed
from tests.support import s3


def all_cases(with_spark: bool) -> list[Case]:
    families = [scheduler, killed, together, damage, requests, machine, publication]
    return [case for family in [spark] * with_spark + families for case in family.cases()]


def main() -> int:
    asked = _arguments()
    cases = [
        case for case in all_cases(asked.spark) if any(fnmatch.fnmatch(case.name, pattern) for pattern in asked.only)
    ]
    if asked.list:
        print("\n".join(f"{case.name} ({case.family}; {case.seeds})" for case in cases))
        return 0
    lanes = matrix.lanes_of(_runs(cases, asked))
    began = time.monotonic()
    with _home(asked.keep) as home, s3.versitygw(home) as server, pytest.MonkeyPatch.context() as environment:
        server.reach(environment)
        bucket = server.new_bucket()
        worlds = Worlds(home, server, bucket, undisturbed(home / "undisturbed"))
        with (
            closing(SparkWorlds(home / "spark", server, bucket)) as spark_worlds,
            closing(PublicationWorlds(home / "publication")) as publication_worlds,
        ):
            scenes = dict.fromkeys(publication.LANES, publication_worlds) | {"": worlds}
            outcomes = matrix.run_all(
                lanes,
                lambda case, *which: scenes.get(case.together, spark_worlds)(case, *which),
                asked.at_once,
                lambda outcome: print(outcome, flush=True),
            )
    print(f"\n{len(outcomes)} cases in {time.monotonic() - began:.0f} s\n")
    if asked.table:
        asked.table.write_text(matrix.page(outcomes))
    return matrix.report(outcomes)


def _runs(cases: list[Case], asked: argparse.Namespace) -> list[tuple[Case, int]]:
    """The cases that are asked for, each with the seeds that are."""
    if asked.seed is not None:
        return [(case, asked.seed) for case in cases]
    every = matrix.every_seed(cases, asked.seeds)
    if asked.drawn is None:
        return every
    seed = random.SystemRandom().randrange(1_000_000) if asked.draw_seed is None else asked.draw_seed
    found = matrix.drawn(every, asked.drawn, seed)
    print(
        f"drawn: {len(found)} of {len(every)} cases, one of each fault and store and {asked.drawn} more; "
        f"the same again: python -m tests.faults --drawn {asked.drawn} --draw-seed {seed}\n",
        flush=True,
    )
    return found


@contextmanager
def _home(keep: bool) -> Iterator[Path]:
    """Where lakes, logs and the server's objects go."""
    if keep:
        home = Path(tempfile.mkdtemp(prefix="faults-"))
        print(f"kept in {home}")
        yield home
    else:
        with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as directory:
            yield Path(directory)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The fault matrix.")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="so many times the usual number of seeds")
    parser.add_argument("--drawn", type=int, metavar="N", help="of each fault and store one case, and N more, drawn")
    parser.add_argument("--draw-seed", type=int, metavar="N", help="draw the same as a run that printed this number")
    parser.add_argument(
        "--only", default=["*"], nargs="+", metavar="NAME", help="cases of these names, or patterns with *"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="this seed only")
    parser.add_argument(
        "--spark", action=argparse.BooleanOptionalAction, default=True, help="also the cases with Spark"
    )
    parser.add_argument("--at-once", type=int, default=3, metavar="N", help="cases at one moment")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.add_argument("--keep", action="store_true", help="keep the lakes of cases with violations")
    parser.add_argument("--list", action="store_true", help="say which cases there are")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
