"""Training recipes: how shipped models were made."""
