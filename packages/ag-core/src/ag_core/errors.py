"""Errors that a user can cause and mend."""


class InputError(ValueError):
    """Refused input: the message names the file, the record and the remedy. The command line exits with 2."""
