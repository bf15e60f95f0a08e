"""Which model is in force by the decision of a person, and where models are registered besides the lake."""
