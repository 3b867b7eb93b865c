"""Compositions of recurrent layers over any cell."""
