"""The device mesh: the only place that makes one, and the only words for pinning arrays to it.

Two axes: `data` over examples and `seq` over the sequence. Inputs, the pair state and the outputs are pinned;
the partitioner works out halo exchanges and key/value gathers by itself.
"""

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

DATA, SEQ = "data", "seq"


def make_mesh(data: int = 1, seq: int | None = None) -> Mesh:
    """A mesh of `data` x `seq` devices; `seq` defaults to all that remain. Raises ValueError if they don't fit."""
    available = jax.device_count()
    if seq is None:
        seq = max(available // max(data, 1), 1)
    if data < 1 or seq < 1:
        raise ValueError(f"a mesh of data={data} x seq={seq}: both must be at least 1")
    if data * seq > available:
        raise ValueError(f"a mesh of data={data} x seq={seq} needs {data * seq} devices, {available} are there")
    return jax.make_mesh((data, seq), (DATA, SEQ), axis_types=(AxisType.Auto, AxisType.Auto))


def pin(tree: PyTree[Array], mesh: Mesh | None, *axes: str | None) -> PyTree[Array]:
    """Constrains the leading axes of every array of `tree`; does nothing without a mesh."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec(*axes)))


def put(tree: PyTree, mesh: Mesh, *axes: str | None) -> PyTree[Array]:
    """Places host arrays on the mesh. Raises ValueError when an axis does not divide."""
    for leaf in jax.tree.leaves(tree):
        for axis, name in enumerate(axes):
            if name is not None and leaf.shape[axis] % mesh.shape[name]:
                raise ValueError(
                    f"axis {axis} of an array of shape {leaf.shape} cannot be split over {mesh.shape[name]} "
                    f"devices of mesh axis {name!r}; choose a length that divides"
                )
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(*axes)))
