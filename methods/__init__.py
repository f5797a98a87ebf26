"""The training methods to compare, one file each. Knows nothing of files, clocks or the harness.

`available()` lists the methods, `get(name)` returns a method's class, `register(name)` adds one.
"""

from methods.core.errors import MethodError
from methods.core.registry import available, get, register

__all__ = ["MethodError", "available", "get", "register"]
