"""A candidate -> what may run, in a process of its own."""
