"""Reads CSV files by strict rules: text that is not exactly a value of its declared type is refused, with its place.

``records`` cuts a file into whole records, ``values`` turns texts into values, and ``reader`` does both for a file.
docs/feeds.md has the rules. Spark's Python workers import this package, so it does not import pyspark.
"""

from spark_lib.frames.delimited.reader import check_names, kinds, names, read, read_fitting, read_with_texts

__all__ = ["check_names", "kinds", "names", "read", "read_fitting", "read_with_texts"]
