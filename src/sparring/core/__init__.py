"""What every layer uses: the name table of pieces, records, shapes, balls, gradients, files, errors."""
