"""A trained model in a repository of the Hugging Face Hub, from where `rnnzoo.load("hf://owner/name")` reads it."""
