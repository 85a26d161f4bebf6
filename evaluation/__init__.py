"""Where data, networks and retrieval meet to measure: descriptors of a test set, recalls, and what adds to them."""
