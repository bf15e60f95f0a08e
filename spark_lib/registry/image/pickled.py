"""Which packages a pickled model needs: what is imported when it is loaded, in a process of its own, after its digest."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import spark_lib
from spark_lib.errors import DaystoneError, ImageError
from spark_lib.models import python_model
from spark_lib.registry.image.contents import normal_name
from spark_lib.scoring import processes

#: Where modules lie that each image has: those of Python and of Daystone.
_WITHOUT_PACKAGE = (Path(sysconfig.get_path("stdlib")).resolve(), Path(spark_lib.__file__).resolve().parent)


def packages_of(model: bytes, digest: str) -> tuple[str, ...]:
    """The names of installed packages that are imported when a pickle is loaded. Raises ImageError where a module is of
    none, as a file of the use case's is, and ModelError where the pickle cannot be loaded."""
    process = processes.started(f"from {__name__} import work; work()", may_have=processes.is_harmless)
    try:
        processes.ask(process, (model, digest))
        found = processes.answer(process)
    finally:
        process.kill()
        process.communicate()
    if isinstance(found, DaystoneError):
        raise found
    return _packages(found)


def _packages(modules: Mapping[str, str]) -> tuple[str, ...]:
    """The packages of modules, by the files that these were imported from."""
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    known = packages_distributions()
    found: set[str] = set()
    unknown: set[str] = set()
    for name, file in modules.items():
        path = Path(file).resolve()
        inside = next((directory for directory in installed if path.is_relative_to(directory)), None)
        if inside is not None:
            found |= set(known.get(path.relative_to(inside).parts[0].partition(".")[0], ()))
        elif not any(path.is_relative_to(directory) for directory in _WITHOUT_PACKAGE):
            unknown.add(name.partition(".")[0])
    if unknown:
        raise ImageError(
            "model.joblib",
            "a pipeline whose parts are of packages that pip has installed",
            f"one that needs {', '.join(sorted(unknown))}",
            "keep these parts in a package, install it, and train again; or serve by daystone serve, beside the use case",
        )
    return tuple(sorted(map(normal_name, found)))


def work() -> None:
    """Answer with the modules: what the process does."""
    processes.answer_all(_modules)


def _modules(question: tuple[bytes, str]) -> dict[str, str]:
    """The modules that are imported when a model is loaded, by the files that they are imported from."""
    before = set(sys.modules)
    python_model.load(*question)
    after = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
    return {name: file for name, file in after.items() if file}
