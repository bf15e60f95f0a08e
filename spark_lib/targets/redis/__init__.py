"""The target Redis (extra ``redis``)."""

from spark_lib.targets.redis.target import RedisTarget

__all__ = ["RedisTarget"]
