"""Finds a use case: a shipped one by its short name, any other by module and class."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re

from spark_lib.errors import ConfigurationError, did_you_mean
from spark_lib.use_case import declarations
from spark_lib.use_case.protocol import UseCase, refuse

SHIPPED = "spark_lib.use_cases"
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def load(name: str) -> UseCase:
    """The use case of a short name (``credit_risk``) or a reference (``my_company.churn:Churn``).

    Raises ConfigurationError where there is none, or where its declarations do not fit together.
    """
    name = normalise(name)
    module_name, _, class_name = _reference_of(name).partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not error.name or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise  # the use case was found, something that it imports was not: the traceback says what
        raise _unknown(name, f"no module {error.name!r}", shipped()) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, UseCase)):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, UseCase)]
        raise _unknown(name, f"no subclass of UseCase named {class_name!r} in {module_name}", classes)
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        refuse(name, "a class with every method of the protocol", f"none for {missing}")
    case: UseCase = declarations.made(name, found)
    declarations.check(name, case)
    return case


@functools.cache
def normalise(name: str) -> str:
    """The one spelling of a use case: the short name for a shipped one, else ``module:Class``."""
    name = name.strip()
    for short in shipped():
        if name in (short, _reference_of(short)):
            return short
    if not _REFERENCE.fullmatch(name):
        raise _unknown(name, "neither a shipped use case nor module:Class", shipped())
    return name


def directory(name: str) -> str:
    """The name of a use case's directory in the lake and of its sections of configuration. It is also the salt of the
    split."""
    return name.replace(":", ".")


def shipped() -> list[str]:
    """The short names of the use cases that come with Daystone."""
    package = importlib.import_module(SHIPPED)
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def _reference_of(name: str) -> str:
    if ":" in name:
        return name
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return f"{SHIPPED}.{name}:{class_name}"


def _unknown(name: str, found: str, known: list[str]) -> ConfigurationError:
    return ConfigurationError(
        f"use case {name!r}",
        "a shipped use case or module:Class that Python can import",
        found + did_you_mean(name.rpartition(":")[2], known),
        f"set [pipeline] use_case to one of {', '.join(shipped())} or to your own module:Class, on PYTHONPATH",
    )
