"""Child processes of the harness: how they are started and ended, and what is said between them and it."""
