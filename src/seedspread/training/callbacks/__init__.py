"""Lightning callbacks: what is done beside the training steps."""
