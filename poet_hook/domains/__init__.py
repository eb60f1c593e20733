"""A name -> what is known about a field of work."""
