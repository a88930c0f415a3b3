"""Checkpoints of a run, by orbax: written in the background, whole or not at all, the last few kept.

What is kept is what `training.State` holds, and where the loaders stand. They restore on another number of devices.
"""

import errno
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
from ag_core.errors import InputError
from ag_core.training import State
from jax.sharding import Mesh, NamedSharding, PartitionSpec

INSTALL = 'pip install "ag-heads[train]"'


class Snapshots:
    """The checkpoints in a folder. Close it, or use it in a `with` statement: writing may still be under way."""

    def __init__(self, folder: pathlib.Path, keep: int = 2):
        try:
            import orbax.checkpoint as orbax
        except ImportError as error:
            raise InputError(f"training needs orbax-checkpoint, which is not installed: {INSTALL}") from error
        self._orbax, self.folder = orbax, folder.absolute()
        options = orbax.CheckpointManagerOptions(
            max_to_keep=keep, enable_async_checkpointing=True, cleanup_tmp_directories=True
        )
        handlers = {"state": orbax.StandardCheckpointHandler(), "about": orbax.JsonCheckpointHandler()}
        self._manager = orbax.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    def __enter__(self) -> "Snapshots":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint that is whole."""
        return self._manager.latest_step()

    def save(self, state: State, about: Mapping[str, Any], *, wait: bool = False) -> None:
        """Keeps a state and what else is needed to go on (JSON). Raises InputError when the disk is full."""
        args, step = self._orbax.args, int(state.step)
        if step in self._manager.all_steps():
            return
        arrays = dict(enumerate(jax.tree.leaves(eqx.filter(state, eqx.is_array))))
        content = args.Composite(
            state=args.StandardSave({str(number): array for number, array in arrays.items()}),
            about=args.JsonSave(json.loads(json.dumps(about))),
        )
        try:
            self._manager.save(step, args=content)
            if wait:
                self.wait()
        except OSError as error:
            raise self._explain(error) from error
        except ValueError as error:
            if "space" in str(error).lower():  # tensorstore's word for a full disk
                raise self._explain(error) from error
            raise

    def wait(self) -> None:
        """Until what is being written is on the disk."""
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except OSError as error:
            raise self._explain(error) from error

    def restore(self, like: State, mesh: Mesh | None = None, step: int | None = None) -> tuple[State, dict[str, Any]]:
        """The newest state (or that of a `step`), with arrays as in `like`, on one device or a mesh.

        Raises InputError when there is none, or one of another architecture.
        """
        args, step = self._orbax.args, self.latest if step is None else step
        if step is None:
            raise InputError(f"{self.folder} holds no checkpoint")
        arrays, rest = eqx.partition(like, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)

        def describe(leaf: jax.Array) -> jax.ShapeDtypeStruct:
            sharding = NamedSharding(mesh, PartitionSpec()) if mesh is not None else leaf.sharding
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

        wanted = {str(number): describe(leaf) for number, leaf in enumerate(leaves)}
        self._check(step, wanted)
        content = self._manager.restore(
            step, args=args.Composite(state=args.StandardRestore(wanted), about=args.JsonRestore())
        )
        found = [content["state"][str(number)] for number in range(len(leaves))]
        return eqx.combine(jax.tree.unflatten(structure, found), rest), content["about"]

    def _check(self, step: int, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> None:
        metadata = self._manager.item_metadata(step)["state"]
        tree = getattr(metadata, "tree", metadata)
        found = {key: tuple(each.shape) for key, each in dict(tree).items()}
        expected = {key: tuple(each.shape) for key, each in wanted.items()}
        if found != expected:
            apart = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
            raise InputError(
                f"{self.folder}, step {step}: the checkpoint is of another architecture or optimiser "
                f"({len(found)} arrays, here {len(expected)}; {len(apart)} differ); use the settings it was made with, "
                "or another output folder"
            )

    def _explain(self, error: Exception) -> InputError:
        if getattr(error, "errno", None) == errno.ENOSPC or "space" in str(error).lower():
            return InputError(
                f"{self.folder}: the disk is full; the last whole checkpoint is of step {self.latest}: make room and "
                "start the same command again"
            )
        return InputError(f"{self.folder}: a checkpoint cannot be written ({error})")
