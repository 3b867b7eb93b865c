"""What shares a training out over processes, beside Lightning's own strategies."""
