"""Source text -> Pragma."""
