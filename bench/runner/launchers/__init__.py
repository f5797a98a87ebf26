"""What runs a run's cells: this process on this machine (`local`), or an engine on machines of its choice.

The launching process alone writes the run's rows, and a node runs a cell as this machine does.
"""

LAUNCHERS = {
    "local": None,
    "slurm": "bench.runner.launchers.slurm:SlurmLauncher",
    "ray": "bench.runner.launchers.ray:RayLauncher",
}
"""By name, the default first: the class, imported when it is needed."""
