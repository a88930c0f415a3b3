"""What ag-data offers to the registry."""
