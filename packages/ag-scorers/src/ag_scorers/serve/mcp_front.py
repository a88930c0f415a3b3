"""The front for assistants: `mcp_tools` by the Model Context Protocol."""

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
from ag_core._version import __version__
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from ag_scorers.serve.backend import Backend
from ag_scorers.serve.errors import describe
from ag_scorers.serve.mcp_tools import Tools

LOG = logging.getLogger("ag_scorers.serve")
_READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def _tool(method: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a method in a thread, tells why it refuses, and gives up its work when the client does."""

    @functools.wraps(method)
    async def call(**arguments: Any) -> dict[str, Any]:
        futures: list[Any] = []
        try:
            work = functools.partial(method, futures.append, **arguments)
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            for future in futures:
                future.cancel()
            raise
        except Exception as error:
            status, text = describe(error)
            if status == "INTERNAL":
                LOG.exception("mcp %s failed", method.__name__)
            raise ToolError(f"{status}: {text}") from error

    signature = inspect.signature(method)
    shown = [one for name, one in signature.parameters.items() if name != "told"]
    call.__signature__ = signature.replace(parameters=shown)  # pyright: ignore[reportAttributeAccessIssue]
    call.__annotations__ = {name: hint for name, hint in method.__annotations__.items() if name != "told"}
    return call


def make_server(backend: Backend, files: Mapping[str, str] | None = None) -> MCPServer:
    """A server of all tools, to be run over stdio."""
    spec = backend.checkpoint.spec
    server = MCPServer(
        "agenome",
        version=__version__,
        instructions=f"Asks {spec.name}, a model that predicts genomic tracks from DNA. Intervals are 0-based "
        "half-open, positions of variants 1-based as in VCF. These are predictions for research, not medical findings.",
        log_level="WARNING",
    )
    tools = Tools(backend, files)
    for method in (tools.about, tools.list_tracks, tools.predict_interval, tools.score_variant, tools.score_interval):
        server.add_tool(_tool(method), annotations=_READ_ONLY)
    return server
