"""Many runs: a grid of recipes, packing of seeds, workers, one table."""
