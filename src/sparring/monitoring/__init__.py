"""What is measured while something trains: generator, classifier, D under a fixed attack, collapse, pictures."""
