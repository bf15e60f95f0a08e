"""The chain on a real S3 server, and on executors that share nothing with the driver but that server."""

from __future__ import annotations

from tests.chain.chains import MONDAY, Chain
from tests.chain.observed import Observed

#: Scores, too, are made by executors.
CLUSTER = ["--spark-master", "local-cluster[2,1,1024]", "--spark-scores-from-mb", "0"]


def test_the_same_is_built_as_on_disk_and_a_second_run_starts_no_jvm(on_disk: Chain, observed: Observed) -> None:
    """That it has the same rows, test_determinism.py says."""
    on_s3 = observed.chain

    assert on_s3.published().keys() == on_disk.published().keys()
    assert on_s3.sessions() == 1

    again = on_s3.succeeds("Everything", "--date", MONDAY, module="everything")

    assert on_s3.sessions() == 1
    assert "1 complete ones were encountered" in again.stderr


def test_executors_that_share_no_disk_with_the_driver_give_the_same_rows(on_disk: Chain, on_s3: Chain) -> None:
    on_s3.succeeds("BatchInference", "--date", MONDAY, *CLUSTER)

    assert on_s3.contents("predictions", MONDAY) == on_disk.contents("predictions", MONDAY)
