"""So that `python -m reports.overview` works."""

from reports.overview import main

main()
