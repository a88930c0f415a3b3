"""What ag-core itself offers: the commands that need nothing but the core."""

from ag_core.hookspecs import Plugin, hookimpl


@hookimpl
def ag_commands():
    return [
        Plugin("plugins", "ag_core.commands:plugins", "list plugins, where they come from and what failed"),
        Plugin("model", "ag_core.commands:model", "look into a checkpoint (info), import or export it"),
    ]
