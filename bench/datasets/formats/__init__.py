"""Readers of file formats that several data sets have in common. Strict: a file that is not whole is refused."""
