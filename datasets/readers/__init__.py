"""Layouts of test sets as they are downloaded, by name; each entry is a `datasets.readers.reader.Reader`.

Of the readers that recognise a folder, the first one reads it.
"""

from commons.registry import Registry

READERS = Registry(
    {
        "folders": "datasets.readers.folders:Folders",
        "msls": "datasets.readers.msls:Msls",
        "dbstruct": "datasets.readers.dbstruct:DbStruct",
        "npy": "datasets.readers.npy_lists:NpyLists",
        "vpr_bench": "datasets.readers.vpr_bench:VprBench",
        "patch_netvlad": "datasets.readers.patch_netvlad:PatchNetVlad",
        "vpr_tutorial": "datasets.readers.vpr_tutorial:VprTutorial",
        "nordland": "datasets.readers.nordland:Nordland",
    }
)
