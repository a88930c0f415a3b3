"""Reading a genome in blocks gives what reading it piece by piece gives."""

import random

import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.fasta import Fasta
from ag_data.vcf.blocks import Blocks

SIZE = 1 << 14


def test_blocks_are_the_genome(write_fasta):
    rng = random.Random(5)
    long = "".join(rng.choices("ACGTacgtN", k=2 * SIZE + 100))
    fasta = Fasta(write_fasta({"chr1": long, "chr2:501-700": long[:200]}))
    blocks = Blocks(fasta)
    edges = [0, SIZE, 2 * SIZE, len(long), 500, 700]
    for _ in range(2000):
        start = max(0, rng.choice(edges) + rng.randrange(-60, 60))
        chromosome = rng.choice(["chr1", "chr2"])
        place = Interval(chromosome, start, start + rng.choice((1, 5, 80, SIZE + 3)))
        if start >= len(long) and chromosome == "chr1":
            with pytest.raises(InputError, match="lies outside chr1"):
                blocks.fetch(place)
            continue
        expected = fasta.fetch(place)
        assert blocks.fetch(place) == expected
        variant = Variant(chromosome, start + 1, "", "A")
        assert blocks.holds(variant, expected) == ("N" not in expected)
        assert not blocks.holds(variant, expected[:-1] + ("A" if expected[-1] != "A" else "C"))
    assert not blocks.holds(Variant("chr1", len(long) + 1, "", "A"), "A")
    assert not blocks.holds(Variant("chrUn", 1, "", "A"), "A")
    assert not blocks.holds(Variant("chr1", 1, "", "A"), "")
