"""What run.py's verbs do: one module a verb (run, sample, status, files, doctor), and what they share."""
