"""Pragma + def -> AST that perceives, operates, enforces and trains."""
