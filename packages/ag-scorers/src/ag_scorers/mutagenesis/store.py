"""Effects in a zarr store (v3); `xr.open_datatree(path, engine="zarr")` gives the tree back."""

import contextlib
import json
import pathlib
import warnings

import xarray as xr
import zarr
from ag_data.zarr_layout import chunk_and_shard, write_column
from zarr.codecs import ZstdCodec

from ag_scorers.folder_outputs import replacing_folder

# Value of the root's attribute `content`.
CONTENT = "agenome effects 1"


def write_effects(tree: xr.DataTree, path: pathlib.Path) -> None:
    """Writes a tree of `to_effects`; replaces a store of effects. Raises InputError for anything else at `path`."""
    with replacing_folder(path, _is_ours) as folder:
        root = zarr.create_group(
            folder, attributes={**{str(k): v for k, v in tree.attrs.items()}, "content": CONTENT}, zarr_format=3
        )
        for key, child in tree.children.items():
            group = root.create_group(key, attributes={str(k): v for k, v in child.attrs.items()})
            for name, array in child.data_vars.items():
                chunks, _ = chunk_and_shard(array.shape, 4)
                stored = group.create_array(
                    str(name),
                    shape=array.shape,
                    chunks=chunks,
                    dtype=array.dtype,
                    compressors=ZstdCodec(level=1),
                    fill_value=float("nan"),
                    dimension_names=[str(dim) for dim in array.dims],
                )
                stored[:] = array.values
            for name, column in child.coords.items():
                write_column(group, str(name), column.values, str(column.dims[0]))
            group.attrs["coordinates"] = " ".join(str(name) for name in child.coords if name not in child.dims)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Consolidated metadata", category=UserWarning)
            zarr.consolidate_metadata(root.store, zarr_format=3)


def _is_ours(path: pathlib.Path) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return json.loads((path / "zarr.json").read_text()).get("attributes", {}).get("content") == CONTENT
    return False
