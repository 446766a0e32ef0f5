"""Finite games, exactly: lemmas and theorems on dishonest discriminators, and which theorem covers a recipe."""
