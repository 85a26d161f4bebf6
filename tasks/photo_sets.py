"""A set of photos to be located, with which tasks measure."""

from dataclasses import dataclass

from datasets.places import Places


@dataclass(frozen=True)
class PhotoSet:
    """Photos to locate.

    Attributes:
        name: name of the set.
        images: photos with positions, NaN where unknown.
    """

    name: str
    images: Places

    @property
    def tables(self) -> dict[str, Places]:
        """The photos by what they are."""
        return {"photos": self.images}

    def __str__(self) -> str:
        located = int(self.images.located.sum())
        without = "" if located == len(self.images) else f", {len(self.images) - located} without a position"
        return f"{self.name}: {len(self.images)} photos{without}"
