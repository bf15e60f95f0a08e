"""Makes landed days of a raw feed from tables: CSV and Parquet files, dated or not. It needs no Spark.

``tables`` reads the files, ``days`` says on which day each row lands, and ``rows`` collects, checks and writes them.
docs/feeds.md has the rules.
"""

from spark_lib.frames.landing.days import ByColumn, Spread
from spark_lib.frames.landing.rows import Landed, land

__all__ = ["ByColumn", "Landed", "Spread", "land"]
