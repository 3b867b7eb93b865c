"""What turns a batch into features (batch, time, features)."""
