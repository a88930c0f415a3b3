"""What ag-eval offers to the registry."""
