"""What makes a Luigi task a stage of the chain."""
