"""How methods are measured: data sets, the shared training loop, the meters, and a process for each cell."""
