"""The interface of a method, its options, the registry, and end-to-end training. Imports nothing from networks."""
