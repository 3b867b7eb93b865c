"""Measures as sums and counts."""
