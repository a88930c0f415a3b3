"""Lengths of the chromosomes of genome assemblies in common use, to tell which one a file was made on.

Source: the chrom.sizes files of UCSC (https://hgdownload.soe.ucsc.edu/goldenPath/<assembly>/bigZips/). Names are
UCSC's; no assembly-independent chromosome (such as chrM) and no unplaced piece is listed.
"""

from collections.abc import Mapping

from ag_data.contigs import match_contig

_HUMAN = [f"chr{name}" for name in (*range(1, 23), "X", "Y")]
_MOUSE = [f"chr{name}" for name in (*range(1, 20), "X", "Y")]
_FLY = [f"chr{name}" for name in ("2L", "2R", "3L", "3R", "4", "X", "Y")]
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_YEAST = [f"chr{name}" for name in (*_ROMAN, *(f"X{name}" for name in _ROMAN[:6]))]
_LENGTHS = {
    "hg18 (NCBI36)": (
        _HUMAN,
        """247249719 242951149 199501827 191273063 180857866 170899992 158821424 146274826 140273252 135374737 134452384
        132349534 114142980 106368585 100338915 88827254 78774742 76117153 63811651 62435964 46944323 49691432 154913754
        57772954""",
    ),
    "hg19 (GRCh37)": (
        _HUMAN,
        """249250621 243199373 198022430 191154276 180915260 171115067 159138663 146364022 141213431 135534747 135006516
        133851895 115169878 107349540 102531392 90354753 81195210 78077248 59128983 63025520 48129895 51304566 155270560
        59373566""",
    ),
    "hg38 (GRCh38)": (
        _HUMAN,
        """248956422 242193529 198295559 190214555 181538259 170805979 159345973 145138636 138394717 133797422 135086622
        133275309 114364328 107043718 101991189 90338345 83257441 80373285 58617616 64444167 46709983 50818468 156040895
        57227415""",
    ),
    "hs1 (T2T-CHM13 v2.0)": (
        _HUMAN,
        """248387328 242696752 201105948 193574945 182045439 172126628 160567428 146259331 150617247 134758134 135127769
        133324548 113566686 101161492 99753195 96330374 84276897 80542538 61707364 66210255 45090682 51324926 154259566
        62460029""",
    ),
    "mm9 (NCBI37)": (
        _MOUSE,
        """197195432 181748087 159599783 155630120 152537259 149517037 152524553 131738871 124076172 129993255 121843856
        121257530 120284312 125194864 103494974 98319150 95272651 90772031 61342430 166650296 15902555""",
    ),
    "mm10 (GRCm38)": (
        _MOUSE,
        """195471971 182113224 160039680 156508116 151834684 149736546 145441459 129401213 124595110 130694993 122082543
        120129022 120421639 124902244 104043685 98207768 94987271 90702639 61431566 171031299 91744698""",
    ),
    "mm39 (GRCm39)": (
        _MOUSE,
        """195154279 181755017 159745316 156860686 151758149 149588044 144995196 130127694 124359700 130530862 121973369
        120092757 120883175 125139656 104073951 98008968 95294699 90720763 61420004 169476592 91455967""",
    ),
    "dm6 (BDGP6)": (_FLY, "23513712 25286936 28110227 32079331 1348131 23542271 3667352"),
    "sacCer3 (R64-1-1)": (
        _YEAST,
        """230218 813184 316620 1531933 576874 270161 1090940 562643 439888 745751 666816 1078177 924431 784333 1091291
        948066""",
    ),
}
# Length in bp of each chromosome of each assembly.
ASSEMBLIES: dict[str, dict[str, int]] = {
    name: dict(zip(chromosomes, map(int, lengths.split()), strict=True))
    for name, (chromosomes, lengths) in _LENGTHS.items()
}


# Names of the Genome Reference Consortium.
_OTHER_NAMES = {"GRCh37": "hg19", "GRCh38": "hg38", "GRCm38": "mm10", "GRCm39": "mm39"}


def same_name(assembly: str) -> str:
    """UCSC's name of an assembly where we know it, else the name itself."""
    return _OTHER_NAMES.get(assembly, assembly)


def recognise(lengths: Mapping[str, int | None]) -> list[str]:
    """Assemblies that fit: every chromosome they share with `lengths` (bp; any spelling) is exactly as long.

    Usually one or none; those that share more chromosomes come first. Unknown lengths (None) say nothing.
    """
    known = {name: length for name, length in lengths.items() if length is not None}
    found = {}
    for assembly, chromosomes in ASSEMBLIES.items():
        shared = {name: match for name in chromosomes if (match := match_contig(name, known)) is not None}
        if shared and all(known[match] == chromosomes[name] for name, match in shared.items()):
            found[assembly] = len(shared)
    return sorted(found, key=lambda assembly: -found[assembly])


def recognise_contents(ends: Mapping[str, int]) -> list[str]:
    """Assemblies whose chromosomes are long enough for entries that reach up to `ends` (bp; any spelling)."""
    return [
        assembly
        for assembly, chromosomes in ASSEMBLIES.items()
        if all((name := match_contig(end, chromosomes)) and at <= chromosomes[name] for end, at in ends.items())
    ]
