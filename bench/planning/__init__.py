"""From what a user asks for to the cells of a run."""
