"""What may be chosen in ``[training]``: here, and not where it is done, so that checking a configuration imports neither
Spark nor numpy."""

from __future__ import annotations

SPLITS = ("entity", "time")
BALANCING = ("none", "class_weight", "undersample", "oversample", "smote")
#: Those that draw whole rows at random within each class, which is what the exact correction of the prior undoes.
DRAWN_AT_RANDOM = ("undersample", "oversample")
#: ``auto`` is ``prior`` where rows were drawn at random, else ``platt``.
CALIBRATION = ("auto", "none", "prior", "platt", "isotonic")
