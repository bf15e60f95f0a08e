"""Raw feeds: the days that have landed, and the files of each day."""
