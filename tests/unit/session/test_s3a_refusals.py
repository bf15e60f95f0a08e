"""What S3 refuses Spark, as one line. The texts are Spark's own, shortened."""

from __future__ import annotations

import pytest

from spark_lib.session import s3a

JOB = "s3a://bucket/lake/credit_risk/features/date=2026-01-01/run=0f"
TASK = (
    "An error occurred while calling o86.parquet.\n: org.apache.spark.SparkException: Job aborted due to stage failure: "
    "Task 0 in stage 0.0 failed 4 times, most recent failure: Lost task 0.3 in stage 0.0 (TID 6) (10.0.0.7 executor 0): "
)
FORBIDDEN = (
    "software.amazon.awssdk.services.s3.model.S3Exception: Forbidden (Service: S3, Status Code: 403, Request ID: L, "
    "Extended Request ID: A/b+c=):null\n\tat org.apache.hadoop.fs.s3a.S3AUtils.translateException(S3AUtils.java:270)\n"
)
DENIED = FORBIDDEN.replace("Forbidden", "Access Denied.").replace(":null", ":AccessDenied")
ALONE = (
    "org.apache.hadoop.fs.s3a.auth.NoAuthWithAWSException: No AWS Credentials provided by DefaultCredentialsProvider : "
    "software.amazon.awssdk.core.exception.SdkClientException: Unable to load credentials from any of the providers in "
    "the chain AwsCredentialsProviderChain(...)\n"
)
UNREACHABLE = (
    "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: Connect to 10.0.0.9:443 "
    "[/10.0.0.9] failed: Connection refused:    software.amazon.awssdk.core.exception.SdkClientException: Unable to "
    "execute HTTP request: Connect to 10.0.0.9:443 [/10.0.0.9] failed: Connection refused\n"
)
READING = "\tat org.apache.spark.executor.Executor$TaskRunner.run(Executor.scala:876)\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{TASK}java.nio.file.AccessDeniedException: {JOB}/__magic_job-1/__base: getFileStatus on {JOB}/x: {FORBIDDEN}",
            f"{JOB.replace('s3a', 's3')} (Spark, executor 0 on 10.0.0.7): wanted permission; found 403 (Forbidden). Next: "
            "check the secret and the policy (docs/operations.md has the least that suffices), where executors run",
        ),
        (
            f": java.nio.file.AccessDeniedException: x/rows: PUT 0-byte object  on x/rows: {DENIED}",
            "Spark, the driver: wanted permission; found AccessDenied (Access Denied.). Next: grant it in the policy "
            "(docs/operations.md has the least that suffices)",
        ),
        (
            f"{TASK}java.nio.file.AccessDeniedException: {JOB}/__magic_job-1/__base: {ALONE}",
            f"{JOB.replace('s3a', 's3')} (Spark, executor 0 on 10.0.0.7): wanted credentials from AWS's own chain; found "
            "none. Next: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role, where "
            "executors run",
        ),
        (
            f": java.net.ConnectException: getFileStatus on s3a://bucket/x/rows: {UNREACHABLE}{READING}",
            "s3://bucket/x/rows (Spark, in a task): wanted an answer from AWS; found Connect to 10.0.0.9:443 [/10.0.0.9] "
            "failed: Connection refused. Next: check the network, then run again, where executors run",
        ),
    ],
    ids=["an executor", "the driver", "no credentials", "no connection"],
)
def test_a_refusal_names_who_was_refused(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)

    assert str(s3a.refusal(text)) == said


def test_a_server_that_is_away_is_named_with_what_named_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S3_ENDPOINT", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://10.0.0.9")

    assert str(s3a.refusal(f": java.net.ConnectException: getFileStatus on s3a://bucket/x/rows: {UNREACHABLE}")) == (
        "s3://bucket/x/rows (Spark, the driver): wanted an answer from http://10.0.0.9; found Connect to 10.0.0.9:443 "
        "[/10.0.0.9] failed: Connection refused. Next: check AWS_ENDPOINT_URL and the network, then run again"
    )


def test_any_other_error_is_none_of_s3s() -> None:
    assert s3a.refusal(f"{TASK}java.lang.ArithmeticException: / by zero\n{READING}") is None
