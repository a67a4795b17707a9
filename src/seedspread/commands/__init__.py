"""One file a command: config in, words out."""
