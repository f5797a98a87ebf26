"""Estimates, tests and noise: numbers from numbers, no words."""
