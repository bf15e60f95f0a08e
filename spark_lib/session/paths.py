"""Urls of the lake as Spark wants them."""

from __future__ import annotations

import re

from spark_lib.lake.stores.store import is_s3


def spark_path(url: str) -> str:
    """A url of the lake as Spark wants it, whatever its default file system is. S3A is Hadoop's way to S3."""
    if is_s3(url):
        return f"s3a://{url.removeprefix('s3://')}"
    return f"file://{url}" if url.startswith("/") else url


def reader_path(url: str) -> str:
    """Like ``spark_path``, but for Spark's readers, which would take some characters of a name for a pattern.

    Spark has an option to read without patterns (``__globPaths__``), but with it every file is read as often as there
    are such names.
    """
    return re.sub(r"[]{}*?\\[]", r"\\\g<0>", spark_path(url))
