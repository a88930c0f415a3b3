import pysam
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder for this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AG_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def write_fasta(tmp_path):
    """Writes records as FASTA (60 bases a line), bgzip if the name ends in .gz, and returns the path."""

    def write(records, name="genome.fa", width=60, folder=tmp_path):
        lines = []
        for record, bases in records.items():
            lines.append(f">{record} some words")
            lines += [bases[i : i + width] for i in range(0, len(bases), width)]
        data = ("\n".join(lines) + "\n").encode()
        path = folder / name
        if name.endswith(".gz"):
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(data)
        else:
            path.write_bytes(data)
        return path

    return write
