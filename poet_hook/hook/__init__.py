"""AST -> module."""
