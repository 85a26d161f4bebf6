"""Networks: backbone, aggregation, descriptor."""
