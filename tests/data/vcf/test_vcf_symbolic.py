"""What a symbolic allele says about its bases."""

import pytest
from ag_core.genome import Variant
from ag_core.sequence import reverse_complement
from ag_data.fasta import Fasta
from ag_data.variants import MAX_REALISED, Call, Status, check_calls
from ag_data.vcf.symbolic import Event, read_event, realise
from hypothesis import given
from hypothesis import strategies as st

GENOME = "AACCGGTTACGTACGTTTGGAACC"


def fetch(interval):
    return GENOME[interval.start : interval.end]


@pytest.mark.parametrize(
    ("event", "variant"),
    [
        # POS 5 is the first G; the event covers bases 6 to 8, "GTT"
        (Event("DEL", 3), ("GGTT", "G")),
        (Event("DEL", 3, "CA"), ("GGTT", "GCA")),
        (Event("DUP", 3), ("G", "GGTT")),
        (Event("INV", 3), ("GGTT", "GAAC")),
        (Event("INS", 0, "CA"), ("G", "GCA")),
    ],
)
def test_by_hand(event, variant):
    assert realise(event, "chr1", 5, fetch) == Variant("chr1", 5, *variant)
    assert event.longest == max(map(len, variant))


@given(st.integers(1, 20), st.data())
def test_laws(position, data):
    length = data.draw(st.integers(1, len(GENOME) - position))
    deleted, doubled, turned = (realise(Event(kind, length), "chr1", position, fetch) for kind in ("DEL", "DUP", "INV"))
    assert (deleted.size_change, doubled.size_change, turned.size_change) == (-length, length, 0)
    assert (deleted.reference_bases, deleted.alternate_bases) == (doubled.alternate_bases, doubled.reference_bases)
    assert reverse_complement(turned.alternate_bases[1:]) == turned.reference_bases[1:]


@pytest.mark.parametrize(
    ("alternate", "info", "alt", "count", "event"),
    [
        ("<DEL>", "SVTYPE=DEL;END=8", 0, 1, Event("DEL", 3)),
        ("<del:ME:ALU>", "SVLEN=-3;IMPRECISE", 0, 1, Event("DEL", 3, imprecise=True)),
        ("<DEL>", "END=8;SVLEN=-1;SVINSSEQ=ca", 0, 1, Event("DEL", 3, "CA")),  # SVLEN as difference of lengths
        ("<DEL>", "END=8;SVLEN=3;SEQ=GTT", 0, 1, Event("DEL", 3)),
        ("<DUP>", "END=12;SVLEN=.,3", 1, 2, Event("DUP", 3)),  # END is that of the longest allele
        ("<DUP>", "END=12;SVLEN=3,.", 1, 2, Event("DUP", 7)),
        ("<DUP:TANDEM>", "END=.;SVLEN=3;SVCLAIM=DJ;SVINSLEN=0", 0, 1, Event("DUP", 3)),
        ("<INS:ME:L1>", "END=5;SVLEN=4;SEQ=ACGT", 0, 1, Event("INS", 0, "ACGT")),
        ("<INS>", "INSSEQ=acg", 0, 1, Event("INS", 0, "ACG")),
    ],
)
def test_events_that_tell_their_bases(alternate, info, alt, count, event):
    assert read_event(alternate, 5, info, alt, count) == event


@pytest.mark.parametrize(
    ("alternate", "info", "reason"),
    [
        ("<NON_REF>", "END=8", "any allele that was not seen"),
        ("<CNV:TR>", "END=8;SVLEN=3", "does not say which bases it has"),
        ("<INV:WHAT>", "END=8", "does not say which bases it has"),
        ("<DUP:DISPERSED>", "END=8", "not say where the copy is"),
        ("<DUP>", "END=8;SVCLAIM=D", "more copies, but not where"),
        ("<DEL>", ".", "neither END nor SVLEN"),
        ("<DEL>", "END=.;SVLEN=.", "neither END nor SVLEN"),
        ("<DEL>", "END=5", "END is not behind POS"),
        ("<DEL>", "END=8;SVLEN=-4", "END and SVLEN disagree"),
        ("<DEL>", "SVLEN=-4,-5", "SVLEN has another number of values"),
        ("<DEL>", "END=eight", "END is no whole number"),
        ("<DEL>", "END=8;SVINSLEN=2", "not say which bases are inserted"),
        ("<INV>", "END=8;SVINSSEQ=A", "not say where the inserted bases are"),
        ("<INS>", "SVLEN=30;LEFT_SVINSSEQ=ACG;RIGHT_SVINSSEQ=CCA", "not say which bases are inserted"),
        ("<INS>", "SVINSSEQ=ARG", "SVINSSEQ has letters other than ACGTN"),
        ("<INS>", "SVLEN=4;SEQ=ACG", "SVLEN and SEQ disagree"),
    ],
)
def test_events_that_do_not(alternate, info, reason):
    assert reason in read_event(alternate, 5, info)


def test_without_a_limit_symbolic_alleles_still_have_one(write_fasta):
    fasta = Fasta(write_fasta({"chr1": "ACGT" * (MAX_REALISED // 2)}))
    calls = [
        Call(0, 0, "chr1", 1, "A", "<DEL>", status=Status.SYMBOLIC, event=Event("DEL", length))
        for length in (MAX_REALISED - 1, MAX_REALISED)
    ]
    fits, long = check_calls(calls, fasta)
    assert fits.status is Status.SCORED
    assert len(fits.variant.reference_bases) == MAX_REALISED
    assert (long.status, long.variant) == (Status.UNSUPPORTED_LENGTH, None)
