"""The values that may be chosen in ``[training]``. They are in a module of their own, so that checking a configuration
imports neither Spark nor numpy."""

from __future__ import annotations

from spark_lib.errors import ConfigurationError
from spark_lib.models.card import CALIBRATIONS

SPLITS = ("entity", "time")
BALANCING = ("none", "class_weight", "undersample", "oversample", "smote")
#: The strategies that draw whole rows at random within each class. The exact correction of the prior undoes just that.
DRAWN_AT_RANDOM = ("undersample", "oversample")
#: The kinds of calibration that may be asked for; ``calibration_kind`` says what ``auto`` is.
CALIBRATION = ("auto", *CALIBRATIONS)
#: The kinds that are fitted to scores, and so need rows of their own.
FITTED = ("platt", "isotonic")
#: What to do with a column that has one value, or none, in all training rows. ``auto`` rejects a model for a column
#: without a value, unless it had none in the training before either. ``auto`` warns about all others.
CONSTANT_COLUMNS = ("auto", "warn", "reject")


def calibration_kind(choice: str, balancing: str) -> str:
    """The kind that ``[training] calibration`` asks for. ``auto`` is the exact correction where the training rows of
    each class were drawn at random, and Platt's curve elsewhere."""
    if choice != "auto":
        return choice
    return "prior" if balancing in DRAWN_AT_RANDOM else "platt"


def check_calibration(calibration: str, balancing: str, proportion: float) -> None:
    """Raise ConfigurationError for a calibration that the balancing does not allow, or that has no rows."""
    if calibration == "prior" and balancing not in DRAWN_AT_RANDOM:
        raise ConfigurationError(
            "[training] calibration",
            f"a curve that is fitted (platt, isotonic, auto) with balancing = {balancing}",
            f"prior, which is exact only where rows are drawn at random ({', '.join(DRAWN_AT_RANDOM)})",
            "correct one of the two",
        )
    if calibration_kind(calibration, balancing) in FITTED and not proportion:
        raise ConfigurationError(
            "[training] calibration_proportion",
            f"above 0 with calibration = {calibration} and balancing = {balancing}: the curve is fitted on "
            "rows of its own",
            "0",
            "set it to 0.1, or choose calibration = none",
        )
