"""Layouts of data sets that pair street or drone photos with aerial images, by name.

Each entry is a `datasets.cross_view.layout.PairedLayout`. Of those that recognise a folder, the first one reads it.
"""

from commons.registry import Registry

PAIRED = Registry(
    {
        "vigor": "datasets.cross_view.vigor:Vigor",
        "cvusa": "datasets.cross_view.cvusa:Cvusa",
        "cvact": "datasets.cross_view.cvact:Cvact",
        "university1652": "datasets.cross_view.university1652:University1652",
    }
)
