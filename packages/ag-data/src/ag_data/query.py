"""Chooses tracks by words: `DNase & (K562 | "T cell") & !strand=-`.

Words and quoted phrases are looked for in all text fields of a track and in the modality; `field=value` asks for
the whole value, `field~text` for a part of it, `field!=value` for another value. `&` or `and`, `|` or `or`, `!` or
`not`, and parentheses combine them; words side by side must all be there. Upper and lower case are the same.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import numpy as np
import pyparsing as pp
import xarray as xr
from ag_core.errors import InputError
from ag_core.schema import is_padding
from jaxtyping import Bool, Int

Mask = Bool[np.ndarray, " track"]


class _Fields(NamedTuple):
    """A track table as lower-case text, made once for all words of a query."""

    columns: dict[str, list[str]]
    texts: tuple[str, ...]  # names of the columns that hold text
    modality: str | None
    size: int


_Test = Callable[[_Fields], Mask]


def select_tracks(tracks: xr.Dataset, query: str) -> Mask:
    """Which tracks of a track table (`ag_core.schema`) fit the query; never padding. An empty query fits all.

    Raises InputError that points at the place in the query, or lists the fields when one is unknown.
    """
    real = ~is_padding(tracks)
    if not query.strip():
        return real
    try:
        test = cast(_Test, _GRAMMAR.parse_string(query, parse_all=True)[0])
        return test(_fields(tracks)) & real
    except pp.ParseBaseException as error:
        raise InputError(
            f"cannot read the track query at position {error.loc + 1}:\n  {query}\n  {' ' * error.loc}^\n"
            'expected words, "quoted phrases", field=value or field~text, joined by & | ! and parentheses; '
            "quote text that contains these signs"
        ) from None
    except RecursionError:
        raise InputError(f"the track query is nested too deep: {query[:80]} ...; write it flatter") from None


def select_in(
    tables: Mapping[str, xr.Dataset], query: str, remedy: str = "see the track table"
) -> dict[str, Int[np.ndarray, " track"]]:
    """Rows of each modality's table that fit a query, without modalities that have none.

    Raises InputError for a query that is wrong in all of them, and, with `remedy`, when nothing fits.
    """
    rows, errors = {}, []
    for name, table in tables.items():
        try:
            fit = np.flatnonzero(select_tracks(table.assign_attrs(modality=name), query))
        except InputError as error:  # perhaps a field that only others have
            errors.append(error)
            continue
        if len(fit):
            rows[name] = fit
    if not rows and errors:
        raise errors[0]
    if not rows:
        raise InputError(f"no track of {', '.join(tables) or 'these predictions'} fits {query!r}; {remedy}")
    return rows


def _fields(tracks: xr.Dataset) -> _Fields:
    arrays = {str(name): tracks[name].values for name in tracks.variables if tracks[name].dims == ("track",)}
    columns = {name: [str(value).lower() for value in values] for name, values in arrays.items() if name != "track"}
    texts = tuple(name for name in columns if arrays[name].dtype.kind in "OUST")
    modality = str(tracks.attrs["modality"]).lower() if "modality" in tracks.attrs else None
    return _Fields(columns, texts, modality, tracks.sizes["track"])


def _contains_modality(fields: _Fields, text: str) -> bool:
    # "RNA-seq" is how people write rna_seq.
    return text.replace("-", "_").replace(" ", "_") in (fields.modality or "")


def _word(tokens: pp.ParseResults) -> _Test:
    text = cast(str, tokens[0]).lower()

    def test(fields: _Fields) -> Mask:
        found = np.full(fields.size, _contains_modality(fields, text))
        for name in fields.texts:
            found |= np.array([text in value for value in fields.columns[name]], bool)
        return found

    return test


def _comparison(query: str, position: int, tokens: pp.ParseResults) -> _Test:
    field, sign, value = tokens
    text = value.lower()
    position += len(query[position:]) - len(query[position:].lstrip())  # pyparsing counts from before the spaces

    def test(fields: _Fields) -> Mask:
        columns = dict(fields.columns)
        if fields.modality is not None:
            columns.setdefault("modality", [fields.modality] * fields.size)
        known = {name.lower(): name for name in columns}
        if field.lower() not in known:
            close = difflib.get_close_matches(field.lower(), known, n=1)
            hint = f"did you mean {known[close[0]]!r}? " if close else ""
            raise InputError(
                f"unknown field {field!r} in the track query at position {position + 1}:\n  {query}\n"
                f"  {' ' * position}^\n{hint}known fields: {', '.join(sorted(columns))}"
            )
        values = columns[known[field.lower()]]
        if sign == "~":
            return np.array([text in each for each in values], bool)
        return np.array([each == text for each in values], bool) != (sign == "!=")

    return test


def _negation(tokens: pp.ParseResults) -> _Test:
    inner = cast(_Test, tokens[0])
    return lambda fields: ~inner(fields)


def _all(tokens: pp.ParseResults) -> _Test:
    parts = list(tokens)
    return lambda fields: np.logical_and.reduce([part(fields) for part in parts])


def _any(tokens: pp.ParseResults) -> _Test:
    parts = list(tokens)
    return lambda fields: np.logical_or.reduce([part(fields) for part in parts])


def _grammar() -> pp.ParserElement:
    both, either, no = (
        pp.Suppress(pp.Literal(sign) | pp.CaselessKeyword(word))
        for sign, word in (("&", "and"), ("|", "or"), ("!", "not"))
    )
    keyword = pp.one_of("and or not", caseless=True, as_keyword=True)
    text = pp.QuotedString('"') | pp.QuotedString("'") | ~keyword + pp.Regex(r"[^\s&|!()=~\"']+[^\s&|!()=~\"]*")
    field = ~keyword + pp.Regex(r"\w+")
    # After an operator or a parenthesis there is no way back (`-`): errors point at the place, not at the start.
    comparison = (field + pp.one_of("!= = ~") - text).set_parse_action(_comparison)
    expression = pp.Forward()
    atom = comparison | text.copy().add_parse_action(_word) | pp.Suppress("(") - expression - pp.Suppress(")")
    term = pp.Forward()
    term <<= (no - term).set_parse_action(_negation) | atom
    together = (term + (both - term | term)[...]).set_parse_action(_all)
    expression <<= (together + (either - together)[...]).set_parse_action(_any)
    return expression


_GRAMMAR = _grammar().parse_with_tabs()
