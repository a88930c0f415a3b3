"""What is fuzzed: a parser with seeds, and what it may raise."""

import dataclasses
import pathlib
from collections.abc import Callable

from ag_core.errors import InputError
from ag_core.plugins import PluginNotFoundError

ROOT = pathlib.Path(__file__).parents[2]
DATA = ROOT / "examples" / "data"
REFUSALS = (InputError, PluginNotFoundError)


class Breach(AssertionError):
    """An answer that the contract does not allow, such as a file that is refused without its name."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A parser.

    - `seeds`: makes inputs that it takes; may write to the folder, which `read` is given as well;
    - `read`: has it read one input; `suffix` is that of the file that inputs are written to, None for text in memory;
    - `allowed`: what it may raise; a message must not be empty, and must name the file;
    - `seconds`: how long one input may take.
    """

    name: str
    seeds: Callable[[pathlib.Path], list[bytes]]
    read: Callable[..., object]
    suffix: str | None = None
    allowed: tuple[type[BaseException], ...] = REFUSALS
    words: tuple[bytes, ...] = ()
    binary: bool = False
    named: bool = True
    seconds: float = 5.0

    def run(self, data: bytes, folder: pathlib.Path) -> bool:
        """Whether the input was taken. Raises what breaks the contract."""
        path = None
        try:
            if self.suffix is None:
                self.read(data.decode("utf-8", "surrogateescape"), folder)
            else:
                path = folder / f"input{self.suffix}"
                path.write_bytes(data)
                self.read(path)
            return True
        except self.allowed as error:
            if isinstance(error, UnicodeError):
                raise
            if not str(error).strip() or str(error).startswith("Exceeds the limit"):
                raise Breach(f"refused with {error!r}, which tells nobody what to do") from error
            if path is not None and self.named and path.name not in str(error):
                raise Breach(f"refused without the file's name: {error}") from error
            return False
