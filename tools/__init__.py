"""Programs beside train.py and eval.py, each run as python -m tools.NAME."""
