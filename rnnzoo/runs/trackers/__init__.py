"""Where a run's numbers go: a file a tracker, each a logger of Lightning."""
