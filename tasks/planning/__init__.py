"""The order of the chain, and what a run says of the partitions that it has met."""
