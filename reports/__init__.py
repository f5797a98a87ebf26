"""The report of a run, written from its results files alone: tables, pictures, and what they do not show."""
