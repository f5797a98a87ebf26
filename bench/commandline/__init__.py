"""What the commands have in common: flags, kinds of values, configuration files, exit codes."""
