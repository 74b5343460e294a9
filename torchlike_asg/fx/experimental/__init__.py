"""What packages ask of PyTorch's symbolic tracing while they run."""
