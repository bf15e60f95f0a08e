"""Says which tests stay in one worker of xdist, under ``--dist loadscope``: the tests of a file, and the tests of all
files that share a lake which takes long to build.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

#: The files that share a lake, by the name of their group.
FILES = {
    "sample lake": (
        "tests/chain/test_bad_input.py",
        "tests/chain/test_chain.py",
        "tests/chain/test_demo_serve.py",
        "tests/chain/test_ranges.py",
        "tests/chain/test_run.py",
    ),
    "lakes of 26 days": (
        "tests/chain/test_backfill.py",
        "tests/chain/test_determinism.py",
        "tests/chain/test_luigid.py",
        "tests/chain/test_policy.py",
        "tests/chain/test_s3.py",
        "tests/chain/test_secrets.py",
    ),
    "lake of parcels": (
        "tests/spark/stages/test_balancing.py",
        "tests/spark/stages/test_champion.py",
        "tests/spark/learning/test_estimators.py",
        "tests/spark/stages/test_inference.py",
        "tests/spark/frames/test_reading.py",
        "tests/spark/frames/test_views.py",
        "tests/spark/rest/test_scorer.py",
        "tests/spark/tasks/cli/test_sql.py",
        "tests/spark/scoring/test_scoring_deaths.py",
        "tests/spark/session/test_session.py",
        "tests/spark/stages/test_training.py",
    ),
}
#: The fixtures that build those lakes, each with the name of its group, by directory.
LAKES = {
    "tests/chain/": {"sample_lake": "sample lake", "on_disk": "lakes of 26 days", "observed": "lakes of 26 days"},
    "tests/spark/": {"chain": "lake of parcels"},
}


class LakeScheduling(LoadScopeScheduling):
    """Gives each worker one group at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


def group_of(file: str) -> str:
    """The group of a file's tests: that of its lake, or one of its own."""
    return next((group for group, files in FILES.items() if file in files), file)


def check(file: str, fixtures: set[str]) -> None:
    """Raises pytest.UsageError where tests of a file have a lake that both workers would build."""
    lakes = next((found for directory, found in LAKES.items() if file.startswith(directory)), {})
    for fixture in sorted(fixtures & lakes.keys()):
        if group_of(file) != lakes[fixture]:
            raise pytest.UsageError(
                f"{file}: wanted in the group '{lakes[fixture]}', for its tests use the fixture {fixture}; "
                f"found in the group '{group_of(file)}'. Next: add it to its group in tests/support/groups.py, or move those tests"
            )
