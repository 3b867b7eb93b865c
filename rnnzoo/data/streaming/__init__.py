"""Data larger than memory: rows that come some at a time, encoded once into files that batches are read from."""
