"""One session a process: quiet, on this machine only, in UTC, and refused after a fork."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_lib.session.session import _within_reach, session
from tests.spark.conftest import Elsewhere


def test_a_process_has_one_session_whatever_is_asked_for_later(spark: SparkSession, elsewhere: Elsewhere) -> None:
    assert session(master="local[1]", shuffle_partitions=7) is spark
    assert elsewhere.found["same_session"]


def test_a_forked_process_is_refused(spark: SparkSession) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            session()
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == (
            f"ConfigurationError: Spark session: wanted to be used by the process that started it, {os.getpid()}; "
            f"found the forked process {child}. Next: run with --workers 1"
        )
    assert spark.range(1).count() == 1


def test_nothing_reaches_the_terminal(elsewhere: Elsewhere) -> None:
    assert (elsewhere.stdout, elsewhere.stderr) == ("", "")


def test_the_log_file_has_what_the_terminal_was_spared(elsewhere: Elsewhere) -> None:
    log = Path(elsewhere.log).read_text()
    for words in ("worker's print", "worker's complaint", "DIVIDE_BY_ZERO", " ERROR Executor"):
        assert words in log


def test_a_session_that_does_not_start_says_why(elsewhere: Elsewhere) -> None:
    assert elsewhere.found["refused"] == (
        "Spark session: wanted one that starts, with the master 'nowhere'; "
        'found Exception in thread "main" org.apache.spark.SparkException: '
        "Master must either be yarn or start with spark, k8s, or local. "
        f"Next: correct [spark], or read {elsewhere.log}"
    )


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux to see who listens")
def test_only_this_machine_can_connect(elsewhere: Elsewhere) -> None:
    # As the kernel writes them: 127.0.0.1, and the same as an address of IPv6.
    assert elsewhere.found["listening"]
    assert set(elsewhere.found["listening"]) <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_on_a_cluster_there_is_no_page_unless_somebody_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_LOCAL_IP", raising=False)
    assert _within_reach("spark://host:7077") == {"spark.ui.enabled": "false"}

    monkeypatch.setenv("SPARK_LOCAL_IP", "10.0.0.7")
    assert _within_reach("spark://host:7077") == {}


def test_time_is_utc_in_any_time_zone(elsewhere: Elsewhere) -> None:
    assert elsewhere.found["zones"] == {
        "session": "1970-01-01 00:00:00",
        "date": "1970-01-01",
        "jvm": "UTC",
        "python": "1969-12-31 16:00:00",  # the process did run elsewhere
    }


def test_a_write_leaves_no_checksum_files_and_no_marker_of_hadoop(elsewhere: Elsewhere) -> None:
    assert [name.partition("-")[0] for name in elsewhere.found["files"]] == ["part"]


def test_java_options_of_the_user_go_beside_ours(elsewhere: Elsewhere) -> None:
    assert elsewhere.found["mine"] == "kept"
