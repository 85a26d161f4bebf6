"""Location encoders map positions on the earth to embeddings; decoders map embeddings back to positions.

Adding an encoder is a file here, a subclass of `encoder.LocationEncoder`, and a line in LOCATION_ENCODERS.
"""

from commons.registry import Registry

LOCATION_ENCODERS = Registry(
    {
        "geoclip": "model.location.geoclip:GeoClip",
        "spherical_harmonics": "model.location.spherical_harmonics:SphericalHarmonics",
    }
)
