"""Small runs of every kind as each released version wrote them; `write.py` adds those of this version."""
