"""One cell on several processes (ranks) that torchrun starts: `--parallel blocks`.

Every rank runs the command. Rank 0 plans, stores and reports; the others follow it (`rank_group`). For each cell every
rank starts its own process, and these train together (`bench.training.ranks`).
"""
