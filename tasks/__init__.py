"""What is learned. Adding a task is a file here, with a subclass of `tasks.task.Task`, and a line in TASKS.

A method names its task, and a checkpoint carries it: `eval.py` and `tools` take checkpoints of any task.
"""

from commons.registry import Registry

TASKS = Registry({"place_recognition": "tasks.place_recognition:PlaceRecognition"})
