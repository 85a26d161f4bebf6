"""Ways to cut the earth into cells, the classes of geolocation by classification.

A `Partition` holds cells at one or several nested resolutions. All kinds of cells have one interface (`cells.base`):
`assign(latitude, longitude)` returns cells, `centre`, `point`, `images` and `parent` are columns, `polygon(cell)` is an
outline. `cells.building` builds partitions by name, `cells.files` writes and reads them.

Adding a kind is one file with a subclass of `cells.base.Cells` and a builder, and a line in KINDS and in CELLS. A
builder takes the photos, and the polygons if it is in WITH_POLYGONS; its keyword-only parameters are its options on the
command line, and its docstring is what --help_cells prints.
"""

from commons.registry import Registry

# Builders.
CELLS = Registry(
    {
        "s2": "cells.s2:s2",
        "quadtree": "cells.quadtree:quadtree",
        "quadtree_median": "cells.quadtree:quadtree_median",
        "admin": "cells.admin:admin",
        "admin_optics": "cells.admin:admin_optics",
        "kmeans": "cells.kmeans:kmeans",
        "grid": "cells.grid:grid",
        "h3": "cells.hexagons:h3",
    }
)
# Classes by the name that files hold.
KINDS = Registry(
    {
        "s2": "cells.s2:S2Cells",
        "quadtree": "cells.quadtree:QuadtreeCells",
        "admin": "cells.admin:AdminCells",
        "kmeans": "cells.kmeans:KMeansCells",
        "grid": "cells.grid:GridCells",
        "h3": "cells.hexagons:HexagonCells",
        "union": "cells.union:UnionCells",
    }
)
WITH_POLYGONS = ("admin", "admin_optics")
# The option that a coarser resolution changes. The polygons' file decides for the others.
SIZE_OPTION = {
    "s2": "max_images",
    "quadtree": "max_images",
    "quadtree_median": "max_images",
    "kmeans": "cells",
    "grid": "size_km",
    "h3": "level",
}
