"""What ag-data offers to the registry."""

from ag_core.hookspecs import Plugin, hookimpl


@hookimpl
def ag_commands():
    return [Plugin("genome", "ag_data.commands:genome", "make tables of splice sites and polyadenylation sites")]
