"""What is told to the control plane: in order, in batches, kept on disk until it has arrived."""
