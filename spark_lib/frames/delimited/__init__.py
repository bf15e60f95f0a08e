"""CSV files by strict rules: text that is not exactly a value of its declared type is refused, with its place.

``records`` cuts a file into whole records, ``values`` turns texts into values, ``reader`` does both for a file.
docs/feeds.md has the rules. Workers import this package: no pyspark here.
"""

from spark_lib.frames.delimited.reader import check_names, kinds, read

__all__ = ["check_names", "kinds", "read"]
