"""Decides whether a model is good enough: metrics with intervals, and gates."""
