"""Macro problems: loading and observation of a body whose constitutive law is given as effective data."""
