"""The catalogue of physical systems."""
