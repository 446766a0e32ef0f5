"""The game in memory. Read `step.py` first: one round."""
