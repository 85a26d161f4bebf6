"""What is in a data set, in numbers and pictures: python -m tools.inspect_data DIR"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from commons.errors import PlacewiseError, run
from commons.files import atomic_path
from datasets.grouping import Group, make_groups
from datasets.places import Places
from datasets.reading import read_places
from flags.tools import InspectDataSettings, parse_inspect_data_settings

Tables = dict[str, Places]


def find_tables(folder: Path) -> Tables:
    """Reads every folder of images in a data set: train, val and test with their databases and queries, or itself.

    Raises:
        PlacewiseError: if there is no image folder.
    """
    if not folder.is_dir():
        raise PlacewiseError(f"{folder}: there is no such folder")
    candidates = [folder / "train"]
    for parent in (folder / "val", folder / "test", folder):
        candidates += [parent / "database", *sorted(parent.glob("queries*"))]
    found = {str(part.relative_to(folder)): read_places(part, positions=False) for part in candidates if part.is_dir()}
    return found or {folder.name: read_places(folder, positions=False)}


def table_lines(tables: Tables) -> list[str]:
    """Returns a line for each folder: images, positions, extent, headings, UTM zones."""
    lines = [f"{'folder':<18} {'images':>8} {'located':>8} {'headings':>8}  extent (east x north)  UTM zones"]
    for name, places in tables.items():
        located = places.take(np.flatnonzero(places.located))
        zones = np.unique(located.utm_zone)
        extent = "-"
        if len(zones) == 1:
            east, north = np.ptp(located.utm_east), np.ptp(located.utm_north)
            extent = f"{east:,.0f} m x {north:,.0f} m"
        zone_names = ", ".join(f"{abs(zone)}{'N' if zone > 0 else 'S'}" for zone in zones if zone)
        counts = f"{len(places):>8} {len(located):>8} {int(np.isfinite(places.heading).sum()):>8}"
        lines.append(f"{name:<18} {counts}  {extent:<21}  {zone_names or '-'}")
    return lines


def group_lines(groups: list[Group]) -> list[str]:
    """Returns a line for each group: classes, images and images a class."""
    lines = [f"{'group':<18} {'classes':>8} {'images':>8}  images a class (min, median, max)"]
    for group in groups:
        sizes = np.diff(group.offsets)
        spread = f"{sizes.min()}, {np.median(sizes):g}, {sizes.max()}"
        lines.append(f"{group.group_id!s:<18} {len(group):>8} {len(group.images):>8}  {spread}")
    return lines


def draw(tables: Tables, groups: list[Group], picture: Path) -> None:
    """Draws a map of all positions, the headings and the images a class."""
    figure = Figure(figsize=(15, 5), dpi=120, layout="constrained")
    where, headings, sizes = figure.subplots(1, 3)
    for number, (name, places) in enumerate(tables.items()):
        where.scatter(places.utm_east, places.utm_north, s=3, label=name, color=f"C{number}", rasterized=True)
    where.set(title="positions", xlabel="UTM east (m)", ylabel="UTM north (m)", aspect="equal")
    where.ticklabel_format(useOffset=False, style="plain")
    where.tick_params(axis="x", rotation=30)
    where.legend(markerscale=3, loc="upper left", bbox_to_anchor=(0, -0.25), ncols=3, frameon=False)
    for number, (name, places) in enumerate(tables.items()):
        known = places.heading[np.isfinite(places.heading)]
        if len(known):
            style = dict(bins=36, range=(0, 360), histtype="step", density=True, color=f"C{number}")
            headings.hist(known, label=name, **style)
    headings.set(title="headings", xlabel="degrees clockwise from north", ylabel="density", xlim=(0, 360))
    if groups:
        counts = np.concatenate([np.diff(group.offsets) for group in groups])
        sizes.hist(counts, bins=np.arange(counts.min(), counts.max() + 2) - 0.5, color="C0")
    sizes.set(
        title=f"{sum(map(len, groups))} classes in {len(groups)} groups", xlabel="images a class", ylabel="classes"
    )
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, format="png")


def main(settings: InspectDataSettings | None = None) -> None:
    """Entry point."""
    chosen = settings or parse_inspect_data_settings()
    folder = Path(chosen.dataset_folder)
    tables = find_tables(folder)
    print("\n".join(table_lines(tables)))
    training = tables.get("train", next(iter(tables.values())))
    groups: list[Group] = []
    try:
        groups = make_groups(training, chosen.M, chosen.alpha, chosen.N, chosen.L, 0, chosen.min_images_per_class)
        print(f"\nClasses of {training.folder} with M={chosen.M}, alpha={chosen.alpha}, N={chosen.N}, L={chosen.L}:")
        print("\n".join(group_lines(groups)))
    except PlacewiseError as error:
        print(f"\nNo classes: {error}")
    picture = Path(chosen.output or f"{folder.resolve().name}.png")
    draw(tables, groups, picture)
    print(f"\nDrawn in {picture}")


if __name__ == "__main__":
    run(main)
