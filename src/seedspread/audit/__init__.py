"""Does a seed do what one thinks: traces of a training program, where two of them first part, and what follows."""
