"""The command `daystone`: one module a verb (run, sample, status, files, doctor), and what they share."""
