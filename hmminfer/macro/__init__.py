"""Macro problems: what is loaded and what is observed; each lacks its law and is given effective data."""
