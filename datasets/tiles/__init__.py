"""Aerial images from map tiles: sources of tiles, a cache of decoded ones, and crops at any position and bearing."""
