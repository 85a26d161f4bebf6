"""What is learned: which images, which network, which measure, which report."""
