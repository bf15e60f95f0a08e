"""How good a model has to be: metrics with intervals, and gates."""
