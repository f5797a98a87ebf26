"""What is compared: training methods on one shared backbone. Knows nothing of files, clocks or the harness.

`available()` lists the methods, `get(name)` gives one's class, `register(name)` adds one.
"""

from methods.core.registry import MethodError, available, get, register

__all__ = ["MethodError", "available", "get", "register"]
