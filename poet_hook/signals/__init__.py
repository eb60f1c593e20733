"""Anything a person says -> Signal."""
