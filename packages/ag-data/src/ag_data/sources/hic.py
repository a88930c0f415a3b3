"""Contact maps of juicer: one resolution of a .hic file."""

import mmap
import os
import pathlib
import struct
from collections.abc import Iterator, Mapping

import hictkpy
import numpy as np
from ag_core.errors import InputError
from jaxtyping import Float

from ag_data.files import check_file
from ag_data.sources.contacts import AbstractContacts, ContactSettings, Pixels
from ag_data.sources.cool import choose_resolution
from ag_data.sources.values import track_name

# What hictkpy raises for damaged files.
_DAMAGE = (RuntimeError, MemoryError, ValueError, OverflowError, LookupError, struct.error)
_BALANCED = ("KR", "SCALE")  # normalisations that make all bins equal, the likeliest first


class HicSource(AbstractContacts):
    """A .hic file (versions 6 to 9) at `resolution`, by default what `choose_resolution` decides.

    - `balance`: "auto" (KR or SCALE, whichever holds a number at all), False, or the name of a normalisation.
    - `offsets`, `pseudo`, `min_coverage`, `smooth`: see `ContactSettings`.

    Raises InputError for files of other kinds and for unknown resolutions and normalisations.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resolution: int | None = None,
        balance: str | bool = "auto",
        offsets: int = 512,
        pseudo: float = 1.0,
        min_coverage: float = 0.1,
        smooth: float = 400,
    ):
        check_file(path, "contact map")
        if not hictkpy.is_hic(path):
            raise InputError(f"contact map {path} is no .hic file; expected one made by juicer or hictk")
        try:
            _check_head(pathlib.Path(path))
            sizes = [int(size) for size in hictkpy.MultiResFile(path).resolutions()]
            if resolution is not None and resolution not in sizes:
                known = ", ".join(map(str, sorted(sizes)))
                raise InputError(f"contact map {path} has no resolution of {resolution:,} bp; it has {known}")
            native = resolution or choose_resolution(sizes)
            self._file = hictkpy.File(path, native)
            self._lengths = {str(name): int(length) for name, length in self._file.chromosomes().items()}
            self._offsets, offset = {}, 0
            for name, length in self._lengths.items():
                self._offsets[name] = offset
                offset += -(-length // native)
            known = self._file.avail_normalizations()
            if isinstance(balance, str) and balance != "auto" and balance not in known:
                raise InputError(
                    f"contact map {path} has no normalisation {balance!r} at {native:,} bp; it has "
                    f"{', '.join(known) or 'none'}: name one of these or set balance to false"
                )
            wanted = [name for name in _BALANCED if name in known] if balance in ("auto", True) else [balance]
            self._name_of_weights, self._vector = "none", None
            for name in wanted if balance is not False else ():
                vector = np.asarray(self._file.weights(str(name), divisive=False), np.float64)
                vector = np.where(np.isfinite(vector) & (vector > 0), vector, np.nan)
                if balance != "auto" or np.isfinite(vector).any():
                    self._name_of_weights, self._vector = str(name), vector
                    break
        except InputError:
            raise
        except _DAMAGE as error:
            raise InputError(f"contact map {path} cannot be read ({error}); make or download it again") from error
        if balance is True and self._vector is None:
            raise InputError(f"contact map {path} has neither KR nor SCALE at {native:,} bp; set balance to false")
        self._path = pathlib.Path(path)
        super().__init__(track_name(self._path), native, ContactSettings(offsets, pseudo, min_coverage, smooth))

    @property
    def balance(self) -> str:
        """The name of the weights, "none" for raw counts."""
        return self._name_of_weights

    def chromosomes(self) -> Mapping[str, int | None]:
        return self._lengths

    def _bins(self, chromosome: str) -> int:
        return -(-self._lengths[chromosome] // self.native)

    def _weights(self, chromosome: str) -> Float[np.ndarray, " bin"] | None:
        first = self._offsets[chromosome]
        return None if self._vector is None else self._vector[first : first + self._bins(chromosome)]

    def _pixels(self, chromosome: str, first: int, last: int, reach: int) -> Iterator[Pixels]:
        start, length, size = self._offsets[chromosome], self._lengths[chromosome], self.native
        if first >= last:
            return
        rows, columns = (f"{chromosome}\t{first * size}\t{min(end * size, length)}" for end in (last, last + reach))
        try:
            table = self._file.fetch(rows, columns, count_type="float64", query_type="BED").to_df()
        except _DAMAGE as error:
            raise InputError(
                f"contact map {self._path} cannot be read at {chromosome} ({error}); make or download it again"
            ) from error
        row, column = (table[name].to_numpy() - start for name in ("bin1_id", "bin2_id"))
        yield Pixels(row, column, table["count"].to_numpy())


def _check_head(path: pathlib.Path) -> None:
    """Raises ValueError for counts that the file is too short for: hictk would go on for all of them.

    Source: https://github.com/aidenlab/hic-format/blob/master/HiCFormatV9.md
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:

        def after_text(at: int) -> int:
            if (end := data.find(b"\0", at)) < 0:
                raise ValueError("its head has no end")
            return end + 1

        def number(at: int, least: int) -> int:
            found = struct.unpack_from("<i", data, at)[0]
            if not 0 <= found * least <= len(data):
                raise ValueError(f"its head counts {found:,} entries, in {len(data):,} bytes")
            return found

        version = struct.unpack_from("<i", data, 4)[0]
        at = after_text(16) + (16 if version > 8 else 0)
        attributes, at = number(at, 2), at + 4
        for _ in range(2 * attributes):
            at = after_text(at)
        number(at, 6)  # chromosomes
