"""A cell's step as scalar operations, from which code is made."""
