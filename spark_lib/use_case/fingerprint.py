"""Identifies the code that made a result: by a number that the stage declares, and by a fingerprint of the use case,
which reformatting does not change.

The fingerprint leaves out Daystone's own code, for which the number stands. So an upgrade that changes no result does
not count as other code.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from spark_lib._version import __version__
from spark_lib.use_case.loading import SHIPPED
from spark_lib.use_case.protocol import UseCase

_RECORDED = ("pyspark", "pyarrow", "numpy", "scikit-learn", "onnx", "onnxmltools", "onnxruntime")


def code(case: UseCase, result: int) -> dict[str, str]:
    """The number ``RESULT`` of a stage, and the fingerprint of the use case's module with all that it imports from its
    own package."""
    return {"result": str(result), "use_case": _of_loaded(type(case).__module__)}


def versions() -> dict[str, str]:
    """The versions of what else could make a difference: Daystone, Python and the libraries that compute."""
    return dict(_versions())


@functools.cache
def _versions() -> Mapping[str, str]:
    found = {"daystone": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an optional package that is not installed is left out
    return found


def of_module(name: str) -> str:
    """SHA-256 over the canonical syntax trees of a module and of what it imports, directly or not, from its own
    top-level package. Of Daystone's own modules only use cases count."""
    sources: dict[str, str] = {}
    _collect(name, name.partition(".")[0], sources)
    lines = [f"{module} {digest}" for module, digest in sorted(sources.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


#: A process runs the code that it has loaded, whatever happens to the files.
_of_loaded = functools.cache(of_module)


def of_source(source: str) -> str:
    """SHA-256 over the canonical form of a module's syntax tree. It leaves out comments, docstrings and positions, and
    is the same on every supported Python."""
    return hashlib.sha256(_canonical(ast.parse(source)).encode()).hexdigest()


def _collect(name: str, package: str, sources: dict[str, str]) -> None:
    if name in sources or name.partition(".")[0] != package or _is_library(name):
        return
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return
    tree = ast.parse(Path(spec.origin).read_bytes())
    sources[name] = hashlib.sha256(_canonical(tree).encode()).hexdigest()
    parent = name if spec.submodule_search_locations else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _collect(alias.name, package, sources)
        elif isinstance(node, ast.ImportFrom):
            base = (
                importlib.util.resolve_name("." * node.level + (node.module or ""), parent)
                if node.level
                else node.module
            )
            _collect(base or "", package, sources)
            for alias in node.names:
                _collect(f"{base}.{alias.name}", package, sources)


def _is_library(name: str) -> bool:
    return name.partition(".")[0] == SHIPPED.partition(".")[0] and not name.startswith(f"{SHIPPED}.")


def _canonical(node: object) -> str:
    """A tree as text. Fields that are empty are left out: newer Pythons add some, such as ``type_params``."""
    if isinstance(node, ast.AST):
        fields = []
        for field, value in ast.iter_fields(node):
            if field == "body" and isinstance(value, list) and _has_docstring(node):
                value = value[1:]
            if isinstance(node, ast.JoinedStr):
                value = _without_empty_text(value)
            if value is not None and value != [] and field not in ("type_comment", "kind"):
                fields.append(f"{field}={_canonical(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    return ascii(node)  # repr() shows a new sign of Unicode as itself or escaped, by the version of Python


def _without_empty_text(parts: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string. Python 3.12 puts an empty text where 3.11 and 3.13 put nothing."""
    return [part for part in parts if not (isinstance(part, ast.Constant) and part.value == "")]


def _has_docstring(node: ast.AST) -> bool:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
