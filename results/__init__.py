"""Results on disk: `schema` has the records of a run and its cells, `store` reads and writes a run's folder."""
