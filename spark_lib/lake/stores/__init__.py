"""Opens the store that serves a root."""

from __future__ import annotations

from spark_lib.lake.stores.local import LocalStore
from spark_lib.lake.stores.s3 import S3Store
from spark_lib.lake.stores.s3_client import Connection
from spark_lib.lake.stores.store import Store, is_s3


def open_store(root: str, connection: Connection | None = None) -> Store:
    """The store of a root that ``normalise_root`` has returned; one on S3 is asked over ``connection``, without one
    over that of the process, which is the lake's."""
    return S3Store(root, connection) if is_s3(root) else LocalStore(root)
