"""What every layer uses: the name table of pieces, records, shapes, balls, randomness, files, errors, the process."""
