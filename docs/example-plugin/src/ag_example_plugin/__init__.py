"""An example plugin: one head and one scorer."""
