"""Diagnosis of a result: summary, checks, identifiability, calibration, report."""
