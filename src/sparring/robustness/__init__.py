"""Robust accuracy of any classifier: threats, worst case per sample, transfer, sanity checks."""
