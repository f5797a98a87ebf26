"""Reports of sweeps: how cost grows (`bench.scale`), accuracy by depth, validation accuracy by learning rate."""
