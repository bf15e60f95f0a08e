"""The target PostgreSQL (extra ``postgres``)."""

from spark_lib.targets.postgres.target import PostgresTarget

__all__ = ["PostgresTarget"]
