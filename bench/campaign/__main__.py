"""So that `python -m bench.campaign` works."""

from bench.campaign import main

main()
