"""The values that may be chosen in ``[training]``. They are in a module of their own, so that checking a configuration
imports neither Spark nor numpy."""

from __future__ import annotations

from spark_lib.errors import ConfigurationError
from spark_lib.models.card import CALIBRATIONS

SPLITS = ("entity", "time")
BALANCING = ("none", "class_weight", "undersample", "oversample", "smote")
#: The strategies that draw whole rows at random within each class. The exact correction of the prior undoes just that.
DRAWN_AT_RANDOM = ("undersample", "oversample")
#: The kinds of calibration that may be asked for; ``calibration_kinds`` says what ``auto`` chooses from.
CALIBRATION = ("auto", *CALIBRATIONS)
#: The kinds that are fitted to scores, and so need rows of their own; the simplest first.
FITTED = ("shift", "platt", "isotonic")
#: What to do with a column that has one value, or none, in all training rows. ``auto`` rejects a model for a column
#: without a value, unless it had none in the training before either. ``auto`` warns about all others.
CONSTANT_COLUMNS = ("auto", "warn", "reject")


def calibration_kinds(choice: str, balancing: str) -> tuple[str, ...]:
    """The kinds that ``[training] calibration`` lets a training choose from, the simplest first.

    ``auto`` begins with what undoes the balancing exactly, where there is such a thing: the correction of the prior
    where the rows of each class were drawn at random, and nothing where all rows were trained on. Each kind that is
    fitted contains that correction, because the correction only shifts the log-odds.
    """
    if choice != "auto":
        return (choice,)
    if balancing in DRAWN_AT_RANDOM:
        return ("prior", *FITTED)
    return ("none", *FITTED) if balancing == "none" else FITTED


def needs_calibration_rows(choice: str, balancing: str) -> bool:
    """Whether a training without calibration rows gives no probabilities. The exact correction of the prior needs none,
    so that ``auto`` falls back on it."""
    kinds = calibration_kinds(choice, balancing)
    return "prior" not in kinds and kinds != ("none",)


def check_calibration(calibration: str, balancing: str, proportion: float) -> None:
    """Raise ConfigurationError for a calibration that the balancing does not allow, or that has no rows."""
    if calibration == "prior" and balancing not in DRAWN_AT_RANDOM:
        raise ConfigurationError(
            "[training] calibration",
            f"auto, or a curve that is fitted ({', '.join(FITTED)}), with balancing = {balancing}",
            f"prior, which is exact only where rows are drawn at random ({', '.join(DRAWN_AT_RANDOM)})",
            "correct one of the two",
        )
    if needs_calibration_rows(calibration, balancing) and not proportion:
        raise ConfigurationError(
            "[training] calibration_proportion",
            f"above 0 with calibration = {calibration} and balancing = {balancing}: the curve is fitted on "
            "rows of its own",
            "0",
            "set it to 0.1, or choose calibration = none",
        )
