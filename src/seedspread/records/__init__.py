"""Records of seeds, studies on disk, and the arrays and tables made of them."""
