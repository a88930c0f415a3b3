"""What a model has seen: united over streams, starts and teachers; unknown where one does not know."""

from ag_data.regions import regions_table
from ag_heads.trained_on import unite, write_regions


def test_regions_are_merged_and_assemblies_have_one_name():
    table = regions_table([("chr1", 0, 10, ""), ("1", 5, 20, ""), ("chr2", 99, 2000, "")])
    assert write_regions(table) == ("chr1:1-20", "chr2:100-2,000")
    found = unite([{"GRCh37": ("chr1:1-20",)}, {"hg19": ("chr1:11-30", "chrX:5-6")}, {"mm10": ("chr1:1-2",)}])
    assert found == {"hg19": ("chr1:1-30", "chrX:5-6"), "mm10": ("chr1:1-2",)}


def test_one_unknown_part_makes_all_unknown():
    assert unite([{"hg19": ("chr1:1-20",)}, None]) is None
    assert unite([]) == {}
