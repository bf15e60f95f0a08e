"""Scores the files of a partition, and the rows of a DataFrame."""
