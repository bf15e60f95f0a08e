"""What a run is going to meet, and what it has met."""
