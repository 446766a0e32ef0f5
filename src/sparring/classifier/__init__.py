"""Adversarial training of a classifier. Read `step.py` first: one round."""
