"""Scores: of a partition file by file, and of the rows of a DataFrame."""
