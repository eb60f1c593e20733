"""Verdict -> Version -> swap."""
