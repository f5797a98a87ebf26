"""Where a run's cells are run: on this machine, or by an engine (Slurm, Ray) on machines of its choice.

Whatever starts a cell, the launching process alone writes the run's rows, and a node runs a cell as this machine does.
"""

LAUNCHERS = ("local", "slurm", "ray")
"""Their names, the default first."""
