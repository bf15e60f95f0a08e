"""Pages of HTML for people: one of a training, one of a release, and what pages are made of.

A page contains all that it needs and runs nothing: it reads the same on a screen, on a phone, on paper and in ten
years. The same documents give the same bytes.
"""
