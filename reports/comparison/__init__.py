"""Two runs held against each other, for `python -m bench.compare`."""
