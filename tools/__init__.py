"""Programs other than train.py and eval.py. Run them with python -m tools.NAME."""
