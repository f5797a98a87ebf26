"""The networks and mathematics that methods share; nothing here is registered as a method."""
