"""What turns a batch into features (batch, time, features): a part for each field that the data give."""
