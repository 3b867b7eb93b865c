"""What watches a run: checkpoints, averaged weights, finite numbers, speed."""
