"""Refuses what cannot be exported to ONNX: some kinds, other classes than wanted, and another width."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from spark_lib.errors import ModelError


def refused(wanted: str, found: str, next_step: str) -> ModelError:
    return ModelError("export to ONNX", wanted, found, next_step)


def check_kinds(
    stages: Sequence[Any],
    kind: Callable[[Any], str | None],
    last: Collection[str],
    transformers: Collection[str],
    words: tuple[str, str],
    classes: int,
) -> None:
    """Raise ModelError unless the last of the stages is one of ``last``, which are those that give ``classes``, and the
    others are transformers.

    ``words`` are the library's name and its word for a stage of a pipeline.
    """
    library, word = words
    for at, stage in enumerate(stages, 1):
        if kind(stage) not in (last if at == len(stages) else transformers):
            many = f" for {classes} classes" if classes > 2 else ""
            raise refused(
                f"a {'classifier' if classes else 'regressor'} of {library} that ONNX can carry{many} ({_listed(last)}), "
                f"alone or as the last {word} of "
                f"a Pipeline after transformers that it can carry ({_listed(transformers)})",
                type(stage).__name__ + (f" as {word} {at} of {len(stages)}" if len(stages) > 1 else ""),
                "let the use case's estimator be made of these",
            )


def check_classes(found: int, classes: int) -> None:
    if found != classes and classes == 2:
        raise refused("two classes", f"{found}", "let the training rows hold labels 0 and 1, both of them")
    if found != classes:
        raise refused(f"{classes} classes", f"{found}", f"let the training rows hold {labels(classes)}")


def labels(classes: int) -> str:
    return f"the labels 0 to {classes - 1}, each of them"


def check_width(stage: Any, found: int | None, width: int) -> None:
    """``found`` is the number of values that the stage takes; None: any."""
    if found is not None and found != width:
        raise refused(
            f"{width} features for {type(stage).__name__}",
            f"{found}",
            "train on the features that the use case declares",
        )


def _listed(names: Collection[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} or {last}"
