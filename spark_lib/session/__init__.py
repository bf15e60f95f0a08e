"""Spark: its session, what the session needs of the machine, and what its executors can do."""
