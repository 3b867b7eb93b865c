"""A trained model as an HTTP server: requests are answered in batches, by one thread that has the model."""
