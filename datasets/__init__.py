"""From files on disk to places, classes and uint8 image batches."""
