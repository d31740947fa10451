"""Runs, predictions by name, and the command line."""
