"""The parts of a training set: the sides of its split, and the sections of its partition. Free of Spark and numpy."""

#: The sides of the split.
TRAIN, CALIBRATION, VALIDATION = "train", "calibration", "validation"
SIDES = (TRAIN, CALIBRATION, VALIDATION)
#: The two sections of the validation side: all of its rows, and those of them that are drawn to be balanced.
NATURAL, BALANCED = "validation/unbalanced", "validation/balanced"
