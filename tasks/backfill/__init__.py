"""Builds what is missing of many days, in one process and one Spark session."""

from tasks.backfill.task import Backfill

__all__ = ["Backfill"]
