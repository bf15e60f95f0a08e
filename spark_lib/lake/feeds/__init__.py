"""Raw feeds: which days have landed, and which files they are."""
