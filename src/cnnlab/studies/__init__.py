"""Studies: arms, paired seeds, replicas trained together, statistics."""
