"""Passing finished cells on to an experiment tracker (`--track`), without any cost to a cell that is measured.

A cell is logged when its row is on disk, by a process of its own (`sender`), which the harness waits for. So nothing of
a tracker runs beside a cell unless other cells do (`--jobs`), and no fault of one, be it that it never ends, stops a
run. Adding a tracker is adding one file to `trackers/`.
"""
