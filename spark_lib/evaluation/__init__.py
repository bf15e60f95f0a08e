"""How good published predictions were, by the outcomes that landed later: bounds, the figures, the document."""
