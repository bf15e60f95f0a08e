"""Which packages a pickled model needs: what is imported when it is loaded, in a process of its own, after its digest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import packages_distributions
from typing import Any

from spark_lib.errors import DaystoneError, ImageError
from spark_lib.registry.image.contents import normal_name
from spark_lib.scoring import processes


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


def _packages(modules: Iterable[str]) -> tuple[str, ...]:
    known = packages_distributions()
    unknown = sorted(name for name in modules if name not in known)
    if unknown:
        raise ImageError(
            "model.joblib",
            "a pipeline whose parts are of packages that pip has installed",
            f"one that needs {', '.join(unknown)}",
            "keep these parts in a package, install it, and train again; or serve by daystone serve, beside the use case",
        )
    return tuple(sorted({normal_name(package) for name in modules for package in known[name]}))


def work() -> None:
    """Answer with the modules: what the process does."""
    processes.answer_all(_answer())


def _answer() -> Callable[[Any], list[str]]:
    from spark_lib.models import python_model

    def modules(question: Any) -> list[str]:
        before = set(sys.modules)
        python_model.load(*question)
        after = {name.partition(".")[0] for name in set(sys.modules) - before}
        return sorted(after - set(sys.stdlib_module_names) - {"spark_lib"} - _without_file(after))

    return modules


def _without_file(names: Iterable[str]) -> set[str]:
    """The modules that were made in memory, as some libraries make them."""
    return {name for name in names if getattr(sys.modules.get(name), "__spec__", None) is None}
