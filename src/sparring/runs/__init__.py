"""A run folder on disk: its files, checkpoints, log, lock, and whose code its recipe may name."""
