"""The values that may be chosen in ``[training]``. They are in a module of their own, so that checking a configuration
imports neither Spark nor numpy."""

from __future__ import annotations

from spark_lib.errors import ConfigurationError
from spark_lib.models.card import CALIBRATIONS

SPLITS = ("entity", "time")
BALANCING = ("none", "class_weight", "undersample", "oversample", "smote")
#: The strategies that draw whole rows at random within each class. The exact correction of the prior undoes just that.
DRAWN_AT_RANDOM = ("undersample", "oversample")
#: ``auto`` is ``prior`` where rows were drawn at random, else ``platt``.
CALIBRATION = ("auto", *CALIBRATIONS)
#: What to do with a column that has one value, or none, in all training rows. ``auto`` rejects a model for a column
#: without a value, unless it had none in the training before either. ``auto`` warns about all others.
CONSTANT_COLUMNS = ("auto", "warn", "reject")


def check_calibration(calibration: str, balancing: str, proportion: float) -> None:
    """Raise ConfigurationError for a calibration that the balancing does not allow, or that has no rows."""
    exact = balancing in DRAWN_AT_RANDOM
    if calibration == "prior" and not exact:
        raise ConfigurationError(
            "[training] calibration",
            f"a curve that is fitted (platt, isotonic, auto) with balancing = {balancing}",
            f"prior, which is exact only where rows are drawn at random ({', '.join(DRAWN_AT_RANDOM)})",
            "correct one of the two",
        )
    fitted = calibration in ("platt", "isotonic") or (calibration == "auto" and not exact)
    if fitted and not proportion:
        raise ConfigurationError(
            "[training] calibration_proportion",
            f"above 0 with calibration = {calibration} and balancing = {balancing}: the curve is fitted on "
            "rows of its own",
            "0",
            "set it to 0.1, or choose calibration = none",
        )
