"""Vectors of words: read from files, trained, evaluated, and given to a model to start from."""
