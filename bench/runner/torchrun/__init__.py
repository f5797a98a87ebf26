"""One cell on several processes (ranks) that torchrun starts: `--parallel blocks`.

Every rank runs the command. That of rank 0 plans, stores and reports; the others follow it (`team`). For each cell
every rank starts a process of its own, and these train together (`ranks`).
"""
