"""How a network's weights move: the optimizer by name, which parameters get which rate, and the rate over time."""
