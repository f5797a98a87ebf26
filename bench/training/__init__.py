"""What happens inside a cell's process: build a method, train it, evaluate it, probe it."""
