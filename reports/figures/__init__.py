"""The figures of a report, and their one style."""
