"""Ways to train. Adding one is a file here and a line in METHODS.

A method decides which images form an epoch, which loss they get and which extra parts are trained. train.py calls
`begin_epoch`, `loss`, `parameters`, `step`, `end_epoch`, `state_dict` and `load_state_dict`, and knows no method by
name.
"""

from methods.cosplace import CosPlace

METHODS = {"cosplace": CosPlace}
