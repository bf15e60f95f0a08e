"""What an adopter writes against, how Daystone finds it, checks it, and tells one version of it from another.

Nothing here imports pyspark, so that planning and a run with nothing to do stay cheap.
"""

from spark_lib.use_case.loading import directory, load, normalise, shipped
from spark_lib.use_case.protocol import Feature, Feed, Label, UseCase

__all__ = ["Feature", "Feed", "Label", "UseCase", "directory", "load", "normalise", "shipped"]
