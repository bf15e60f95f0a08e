"""DataFrames: reading partitions and raw feeds, writing Parquet."""
