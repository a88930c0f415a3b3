"""What a run tells: one JSON line for each record, and wandb or TensorBoard where they are wanted."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ag_core.errors import InputError


class Journal:
    """Records of a run in `path`. One that goes on at `step` forgets what came after it, and so has no step twice.

    Of several processes only the first, which is the one that `writes`, keeps any.
    """

    def __init__(
        self,
        path: pathlib.Path,
        step: int,
        *,
        wandb: str | None = None,
        tensorboard: bool = False,
        name: str = "",
        writes: bool = True,
    ):
        self._path, self._writes = path, writes
        self._others: list[Any] = []
        if not writes:
            return
        records = [record for record in read_journal(path) if record["step"] <= step]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(record) + "\n" for record in records))
        temporary.replace(path)
        if wandb is not None:
            self._others.append(_start_wandb(wandb, name, path.parent))
        if tensorboard:
            self._others.append(_start_tensorboard(path.parent))

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Adds a record: `kind` is "train" or "valid"."""
        if not self._writes:
            return
        record = {"kind": kind, "step": step, **{key: float(value) for key, value in values.items()}}
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        for other in self._others:
            other({f"{kind}/{key}": value for key, value in record.items() if isinstance(value, float)}, step)


def read_journal(path: pathlib.Path) -> list[dict[str, Any]]:
    """All whole records; a last line that was cut off is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _start_wandb(project: str, name: str, folder: pathlib.Path) -> Any:
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("run.wandb: wandb is not installed: pip install wandb") from error
    run = wandb.init(project=project, name=name, dir=folder, resume="allow", id=f"{name}-{folder.name}")
    return lambda values, step: run.log(values, step=step)


def _start_tensorboard(folder: pathlib.Path) -> Any:
    try:
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("run.tensorboard: tensorboardX is not installed: pip install tensorboardX") from error
    writer = SummaryWriter(str(folder / "tensorboard"))

    def log(values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            writer.add_scalar(key, value, step)
        writer.flush()

    return log
