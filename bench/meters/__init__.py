"""The meters, one a file, each tested against a known answer."""
