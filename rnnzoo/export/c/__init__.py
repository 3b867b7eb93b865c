"""A trained model as one file of C99 that depends on nothing."""
