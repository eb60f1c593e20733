"""Code that runs -> Execution."""
