"""Words in a terminal -> the API -> words in a terminal."""
