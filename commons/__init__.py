"""What every room may use: errors, files, logging, devices, seeds and checkpoints."""
