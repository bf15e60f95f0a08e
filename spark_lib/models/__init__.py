"""What a model is: its card, its bytes, the matrix that it takes, and its calibration."""
