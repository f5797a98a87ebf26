"""Readers of the file formats that data sets are published in. Strict: a file that is not whole is refused."""
