"""Spark: its session, what that needs of the machine, and what its executors can do."""
