"""A question -> a model's reply, within the limits of a day; that -> a candidate, an object, or why neither."""
