"""The parts that make a Luigi task a stage of the chain."""
