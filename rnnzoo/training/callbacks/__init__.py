"""Callbacks of a run: checkpoints, averaged weights, checks for finite numbers, speed, progress."""
