"""What every method is made of: its interface, options, registry, and what training end to end shares."""
