"""Tasks. To add a task, add a file with a subclass of `tasks.task.Task` to this folder and a line to TASKS.

Methods and checkpoints contain the name of their task, so `eval.py` and `tools` accept checkpoints of any task.
LOCATORS contains the classes that locate single photos with networks of a task (`tasks.locating`).
"""

from commons.registry import Registry

# The task of checkpoints that name none, and of the default method.
FIRST = "place_recognition"

TASKS = Registry(
    {
        "place_recognition": "tasks.place_recognition:PlaceRecognition",
        "geolocation": "tasks.geolocation:Geolocation",
        "location_embedding": "tasks.location_embedding:LocationEmbedding",
        "cross_view": "tasks.tiled_views:TiledViews",
        "location_decoder": "tasks.location_decoder:LocationDecoding",
    }
)
LOCATORS = Registry(
    {
        "place_recognition": "tasks.locating_places:PlaceLocator",
        "geolocation": "tasks.locating_cells:CellLocator",
        "location_embedding": "tasks.locating_cells:EmbeddingLocator",
        "cross_view": "tasks.locating_aerial:AerialLocator",
    }
)
