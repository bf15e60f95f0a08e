"""Publication: days of the lake that are put where products read them. Nothing here imports Spark, Luigi or the stages."""

from spark_lib.targets.target import Columns, Day, Score, Series, Target, asked, day_of, overtaken

__all__ = ["Columns", "Day", "Score", "Series", "Target", "asked", "day_of", "overtaken"]
