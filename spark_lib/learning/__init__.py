"""How a model is learnt: splitting, balancing, fitting and calibration."""
