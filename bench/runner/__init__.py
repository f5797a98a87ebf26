"""From planned cells to rows on disk: a process for each cell, on this machine or others."""
