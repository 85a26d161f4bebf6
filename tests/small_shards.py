"""Makes tools.build_database write shards of 16 images."""

from tasks import database_building

database_building.SHARD = 16
