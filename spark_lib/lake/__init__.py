"""The lake: partitions published by manifests, on any store. Nothing here imports Spark, Luigi or the stages."""

from spark_lib.lake.attempt import Attempt, Documents, Resolved, Rows, resolved
from spark_lib.lake.feeds.cleaned import CLEAN, QUARANTINE, CleanDays
from spark_lib.lake.feeds.dialect import Dialect
from spark_lib.lake.feeds.raw import DEFAULT_PATH, RawDay, RawDays, RawFeed, are_comparable
from spark_lib.lake.lake import Lake, Partition, days, read_document
from spark_lib.lake.manifest import ROWS_FROM_RAW, Input, Manifest, Schema
from spark_lib.lake.stores.store import is_s3, normalise_root

__all__ = [
    "CLEAN",
    "DEFAULT_PATH",
    "QUARANTINE",
    "ROWS_FROM_RAW",
    "Attempt",
    "CleanDays",
    "Dialect",
    "Documents",
    "Input",
    "Lake",
    "Manifest",
    "Partition",
    "RawDay",
    "RawDays",
    "RawFeed",
    "Resolved",
    "Rows",
    "Schema",
    "are_comparable",
    "days",
    "is_s3",
    "normalise_root",
    "read_document",
    "resolved",
]
