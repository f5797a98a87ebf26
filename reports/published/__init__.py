"""Figures that the paper gives."""
