"""What the published networks of NetVLAD have in common."""

# VGG16 of MatConvNet: pixels from 0 to 255 minus the mean image.
MEAN = (123.68, 116.779, 103.939)
CHANNELS, CLUSTERS = 512, 64
