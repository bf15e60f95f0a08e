"""Ships code to executors that share no disk with the driver: Daystone itself and the package of the use case.

A function of a module goes to a Python worker by its name, so that the worker has to import the module. Each top-level
package goes as one zip file, which Spark's own file server of the driver hands out and which workers have on their path
before what is installed there. Its name has the digest of its content: other content is another file to Spark.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

from spark_lib.errors import ConfigurationError
from spark_lib.session import environment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OURS = "spark_lib"
#: A package of code is far smaller. What is larger has data in it, which every executor would fetch.
MAX_BYTES = 64 * 2**20
_INSTALL = "install it where executors run (an image, or spark.archives), and set [spark] ship_code = false"
_EPOCH = (1980, 1, 1, 0, 0, 0)

#: What has been shipped: the application of Spark, and the top-level package.
_shipped: set[tuple[str, str]] = set()


def ship(spark: SparkSession, module: str) -> None:
    """Ship Daystone and the top-level package of ``module``, each once to an application of Spark.

    Nothing is shipped where tasks run in the driver's JVM: their workers have the driver's disk and environment. Raises
    ConfigurationError for a package that cannot be shipped.
    """
    context = spark.sparkContext
    if environment.in_driver(str(context.master)):
        return
    for package in dict.fromkeys([OURS, module.partition(".")[0]]):
        shipped = (str(context.applicationId), package)
        if shipped not in _shipped:
            # The driver serves the file for as long as the session lives. Spark removes this directory.
            made = archive(package, Path(context._temp_dir))
            path = list(sys.path)
            context.addPyFile(str(made))
            sys.path[:] = path  # it adds the file to the driver's path as well, whose packages are where they were
            _shipped.add(shipped)


def archive(package: str, directory: Path) -> Path:
    """Write a zip file of a top-level package, or of a module that is one file, and return its path.

    It has every file but compiled Python and what is hidden, so that data files of the package are there as well. The
    same files give the same bytes. Raises ConfigurationError for a package with compiled modules, one that does not lie
    in files, and one of more than ``MAX_BYTES``.
    """
    files = dict(sorted(dict(_files(package)).items()))
    compiled = next((name for name in files if name.endswith(tuple(EXTENSION_SUFFIXES))), None)
    if compiled is not None:
        raise _refused(package, "modules of Python alone, because Python imports no compiled one from a zip", compiled)
    size = sum(path.stat().st_size for path in files.values())
    if size > MAX_BYTES:
        largest = max(files, key=lambda name: files[name].stat().st_size)
        raise _refused(
            package,
            f"at most {MAX_BYTES:,} bytes of code and data",
            f"{size:,} bytes, the largest file being {largest}",
        )
    contents = {name: path.read_bytes() for name, path in files.items()}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    made = directory / f"{package}-{digest.hexdigest()[:16]}.zip"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        # zipimport finds a directory without an __init__.py only where the archive names the directory itself.
        for name in sorted({f"{parent}/" for file in contents for parent in Path(file).parents if parent.name}):
            zipped.writestr(zipfile.ZipInfo(name, _EPOCH), b"")
        for name, content in contents.items():
            zipped.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return made


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """Each file of a package, by its name in the archive."""
    spec = importlib.util.find_spec(package)
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    if any(place.is_dir() for place in places):
        for place in reversed(places):  # of a package in several places the first one is imported
            for path in _below(place):
                yield f"{package}/{path.relative_to(place).as_posix()}", path
    elif spec and not places and spec.origin and os.path.isfile(spec.origin):
        yield Path(spec.origin).name, Path(spec.origin)
    else:
        found = (spec and (spec.origin or ", ".join(map(str, places)))) or "none"
        raise _refused(package, "files of Python in a directory", found)


def _below(place: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(place):
        names[:] = [name for name in names if name != "__pycache__" and not name.startswith(".")]
        yield from (
            Path(directory, file) for file in files if not file.startswith(".") and not file.endswith((".pyc", ".pyo"))
        )


def _refused(package: str, wanted: str, found: str) -> ConfigurationError:
    return ConfigurationError(f"package {package!r}, to be shipped to executors", wanted, found, _INSTALL)
