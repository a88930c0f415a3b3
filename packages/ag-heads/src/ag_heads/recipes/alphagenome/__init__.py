"""The published model's two stages, as far as they are known."""
