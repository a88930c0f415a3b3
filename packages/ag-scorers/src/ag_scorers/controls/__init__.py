"""A variant beside variants like it, and what kind of effect it has."""
