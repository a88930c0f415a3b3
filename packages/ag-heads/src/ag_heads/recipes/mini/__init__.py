"""The embedded model: what it is trained on, and how."""
