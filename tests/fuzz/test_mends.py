"""What was refused for the sake of damaged files, and must not be refused in whole ones; and the other way round."""

import pathlib
import sys

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from subjects import SUBJECTS
from subjects_arrays import _store


@pytest.mark.parametrize(
    "text",
    [
        'Chromosome,Position,Strand,Kind,Note\nchr1,100,+,donor,"a, b, c, d"\n',  # separators in quotes
        "\n  \nChromosome,Position,Strand,Kind\nchr1,100,+,donor\n",  # lines before the header
        'Chromosome,Position,Strand,Kind\n"1",chr1,100,+,donor\n',  # names of rows, as R writes them
        "Chromosome,Position,Strand,Kind\r\nchr1,100,+,donor\r\n",
    ],
)
def test_tables_that_pandas_reads_are_read(text, tmp_path):
    from ag_data.splice_sites import read_splice_sites

    (tmp_path / "sites.csv").write_text(text, newline="")
    (row,) = read_splice_sites(tmp_path / "sites.csv").table.itertuples()
    assert (row.Chromosome, row.Position, row.Strand, row.Kind) == ("chr1", 100, "+", "donor")


def test_tables_with_a_broken_header_are_refused(tmp_path):
    from ag_data.splice_sites import read_splice_sites

    path = tmp_path / "sites.csv"
    path.write_text("Chromosome,Position\nchr1,100,+,donor\n")
    with pytest.raises(InputError, match=r"sites\.csv has 2 columns in its header and 4 in its first row"):
        read_splice_sites(path)
    path.write_text(f'Chromosome,Position,"{"x" * 200_000}\nchr1,100\n')
    with pytest.raises(InputError, match=r"sites\.csv cannot be read \(field larger than field limit"):
        read_splice_sites(path)


def test_a_wrong_question_is_not_a_damaged_store(tmp_path):
    from ag_data.store import open_store

    store = open_store(_store(tmp_path))
    with pytest.raises(IndexError):
        store.read("dnase", Interval("chr1", 0, 512), [7])
    for start, end in ((-1024, -512), (-512, 512), (8192, 8704), (3584, 4608)):  # on and off the chromosome
        values = store.read("dnase", Interval("chr1", start, end), [0])
        inside = (np.arange(start, end) >= 0) & (np.arange(start, end) < 4096)
        assert values.shape == (end - start, 1)
        assert np.array_equal(np.isfinite(values[:, 0]), inside)


def test_numbers_of_targets_are_finite():
    from ag_scorers.attribution.parser import parse_target

    parse_target("1e30 * dnase @ region")
    for text in ("1e999 * dnase @ region", "log(dnase @ region, 1e999)"):
        with pytest.raises(InputError, match="the number is too large"):
            parse_target(text)


def test_seeds_of_readers_are_taken(tmp_path):
    """Else damage to them tells nothing. Those that start a server are left to `run.py`."""
    for name in ("splice-sites", "bedgraph", "contact-table", "two-bit", "store-root"):
        subject = SUBJECTS[name]
        assert all(subject.run(seed, tmp_path) for seed in subject.seeds(tmp_path))
