"""Execution, Feedback -> disk, and back."""
