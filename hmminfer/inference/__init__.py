"""From a model and its data to a posterior, and the labelled result."""
