"""Crates of apples: which of them will be found spoilt?"""
