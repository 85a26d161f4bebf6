"""Prints and plots statistics of a data set: python -m tools.inspect_data DIR"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from commons.errors import PlacewiseError, in_flags, run
from commons.files import CACHE, atomic_path
from datasets.distances import share_utm
from datasets.grouping import Group, make_groups
from datasets.places import Places
from datasets.reading import read_places
from demo.write import demo_or_folder
from flags.tools import InspectDataSettings, parse_inspect_data_settings

Tables = dict[str, Places]


def find_tables(folder: Path) -> Tables:
    """Reads all image folders of a data set: train, databases and queries of val and test, or the folder itself.

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
    """Returns one line per folder: images, positions, headings, extent, UTM zones."""
    lines = [f"{'folder':<18} {'images':>8} {'located':>8} {'headings':>8}  extent (east x north)  UTM zones"]
    for name, places in tables.items():
        located = places.take(np.flatnonzero(places.located))
        zones = np.unique(located.utm_zone[np.isfinite(located.utm_east)])
        zone_names = [f"{abs(zone)}{'N' if zone > 0 else 'S'}" for zone in zones if zone]
        if np.isnan(located.utm_east).any():
            zone_names.append("near a pole")
        counts = f"{len(places):>8} {len(located):>8} {int(np.isfinite(places.heading).sum()):>8}"
        lines.append(f"{name:<18} {counts}  {_extent(located):<21}  {', '.join(zone_names) or '-'}")
    return lines


def _extent(located: Places) -> str:
    """Returns the extent of positions east and north: in metres, or in degrees without a common UTM zone."""
    if not len(located):
        return "-"
    if share_utm(located):
        return f"{np.ptp(located.utm_east):,.0f} m x {np.ptp(located.utm_north):,.0f} m"
    known = np.isfinite(located.latitude)
    spread = np.ptp(unwrapped(located.longitude[known])), np.ptp(located.latitude[known])
    return "{:.4g} deg x {:.4g} deg".format(*spread)


def unwrapped(longitude: np.ndarray) -> np.ndarray:
    """Returns longitudes without a jump at the antimeridian if there are places on both sides of it: 181 for -179.

    Args:
        longitude: degrees, (n,), at least one, NaN where unknown.
    """
    order = np.sort(longitude[np.isfinite(longitude)])
    gaps = np.diff(order, append=order[:1] + 360)
    if len(order) < 2 or gaps.argmax() == len(order) - 1:
        return longitude
    start = order[gaps.argmax() + 1]
    return np.where(longitude < start, longitude + 360, longitude)


def group_lines(groups: list[Group]) -> list[str]:
    """Returns one line per group: classes, images and images per class."""
    lines = [f"{'group':<18} {'classes':>8} {'images':>8}  images per class (min, median, max)"]
    for group in groups:
        sizes = np.diff(group.offsets)
        spread = f"{sizes.min()}, {np.median(sizes):g}, {sizes.max()}"
        lines.append(f"{group.group_id!s:<18} {len(group):>8} {len(group.images):>8}  {spread}")
    return lines


def draw(tables: Tables, groups: list[Group], picture: Path) -> None:
    """Draws a map of all positions and histograms of the headings and of the images per class."""
    figure = Figure(figsize=(15, 5), dpi=120, layout="constrained")
    where, headings, sizes = figure.subplots(1, 3)
    draw_map(tables, where)
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
        title=f"{sum(map(len, groups))} classes in {len(groups)} groups", xlabel="images per class", ylabel="classes"
    )
    with atomic_path(picture) as temporary:
        figure.savefig(temporary, format="png")


def draw_map(tables: Tables, axes: Axes) -> None:
    """Draws all positions: in UTM metres, or in longitude and latitude without a common UTM zone."""
    in_utm = share_utm(*tables.values())
    if in_utm:
        points = [(places.utm_east, places.utm_north) for places in tables.values()]
        labels = {"xlabel": "UTM east (m)", "ylabel": "UTM north (m)", "aspect": "equal"}
    else:
        longitude = unwrapped(np.concatenate([places.longitude for places in tables.values()]))
        parts = np.split(longitude, np.cumsum([len(places) for places in tables.values()])[:-1])
        points = [(part, places.latitude) for part, places in zip(parts, tables.values(), strict=True)]
        middle = np.radians(np.nanmean(np.concatenate([latitude for _, latitude in points])))
        # True proportions at this latitude; near the poles, a degree is at most ten times as high as wide.
        labels = {"xlabel": "longitude (degrees)", "ylabel": "latitude (degrees)"}
        labels["aspect"] = 1 / max(np.cos(middle), 0.1)
    for number, (name, (x, y)) in enumerate(zip(tables, points, strict=True)):
        axes.scatter(x, y, s=3, label=name, color=f"C{number}", rasterized=True)
    axes.set(title="positions", **labels)
    if not in_utm:
        axes.set_adjustable("datalim")
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.tick_params(axis="x", rotation=30)
    axes.legend(markerscale=3, loc="upper left", bbox_to_anchor=(0, -0.25), ncols=3, frameon=False)


def main(settings: InspectDataSettings | None = None) -> None:
    """Entry point."""
    chosen = settings or parse_inspect_data_settings()
    folder = Path(demo_or_folder(chosen.dataset_folder, CACHE))
    tables = find_tables(folder)
    print("\n".join(table_lines(tables)))
    training = tables.get("train", next(iter(tables.values())))
    groups: list[Group] = []
    try:
        groups = make_groups(training, chosen.M, chosen.alpha, chosen.N, chosen.L, 0, chosen.min_images_per_class)
        print(f"\nClasses of {training.folder} with M={chosen.M}, alpha={chosen.alpha}, N={chosen.N}, L={chosen.L}:")
        print("\n".join(group_lines(groups)))
    except PlacewiseError as error:
        print(in_flags(f"\nNo classes: {error}"))
    picture = Path(chosen.output or f"{folder.resolve().name}.png")
    draw(tables, groups, picture)
    print(f"\nPlot: {picture}")


if __name__ == "__main__":
    run(main)
