"""Settings of the programs in tools/."""

from flags.tools.data import (
    BuildCellsSettings,
    DownloadSettings,
    InspectDataSettings,
    PreviewSettings,
    parse_build_cells_settings,
    parse_download_settings,
    parse_inspect_data_settings,
    parse_preview_settings,
)
from flags.tools.duplicates import DuplicatesSettings, parse_duplicates_settings
from flags.tools.gazetteer import MakeGazetteerSettings, parse_make_gazetteer_settings
from flags.tools.networks import (
    ExportSettings,
    InspectNetworkSettings,
    SoupSettings,
    parse_export_settings,
    parse_inspect_network_settings,
    parse_soup_settings,
)
from flags.tools.runs import (
    CompareSettings,
    ConfidenceSettings,
    ErrorsSettings,
    parse_compare_settings,
    parse_confidence_settings,
    parse_errors_settings,
)
from flags.tools.tune import LrRangeSettings, TuneSettings, parse_lr_range_settings, parse_tune_settings

__all__ = [
    "BuildCellsSettings",
    "CompareSettings",
    "ConfidenceSettings",
    "DownloadSettings",
    "DuplicatesSettings",
    "ErrorsSettings",
    "ExportSettings",
    "InspectDataSettings",
    "InspectNetworkSettings",
    "LrRangeSettings",
    "MakeGazetteerSettings",
    "PreviewSettings",
    "SoupSettings",
    "TuneSettings",
    "parse_build_cells_settings",
    "parse_compare_settings",
    "parse_confidence_settings",
    "parse_download_settings",
    "parse_duplicates_settings",
    "parse_errors_settings",
    "parse_export_settings",
    "parse_inspect_data_settings",
    "parse_inspect_network_settings",
    "parse_lr_range_settings",
    "parse_make_gazetteer_settings",
    "parse_preview_settings",
    "parse_soup_settings",
    "parse_tune_settings",
]
