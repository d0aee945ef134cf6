"""The sensors, a module each."""
