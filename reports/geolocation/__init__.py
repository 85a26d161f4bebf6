"""Reports of geolocation: a map, pictures of errors and confusions, a gallery, and a page that ties them together."""
