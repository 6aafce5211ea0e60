"""Finding: from a note's text to findings with their assertion and attributes."""
