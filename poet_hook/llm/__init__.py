"""What a model wrote -> a candidate, an object, or the reason why neither."""
