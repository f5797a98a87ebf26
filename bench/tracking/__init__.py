"""Handing finished cells to an experiment tracker (`--track`), at no cost to a cell that is measured."""
