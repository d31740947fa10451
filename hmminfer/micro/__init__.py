"""Micro problems: what a piece of material is made of, solved on a small cell."""
