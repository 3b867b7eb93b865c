"""A run: resolve a recipe, build its data and model, fit, evaluate; a file each."""
