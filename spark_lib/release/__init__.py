"""Judges the predictions of a day before they are released: sketches of columns, what chance gives, checks, the verdict."""
