"""Chooses tracks by words: `DNase & (K562 | "T cell") & !strand=-`.

Words and quoted phrases are looked for in all text fields of a track and in the modality; `field=value` asks for
the whole value, `field~text` for a part of it, `field!=value` for another value. `&` or `and`, `|` or `or`, `!` or
`not`, and parentheses combine them; words side by side must all be there. Upper and lower case are the same.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import pyparsing as pp
import xarray as xr
from ag_core.errors import InputError
from ag_core.schema import is_padding
from jaxtyping import Bool, Int

Mask = Bool[np.ndarray, " track"]
_Test = Callable[[xr.Dataset], Mask]


def select_tracks(tracks: xr.Dataset, query: str) -> Mask:
    """Which tracks of a track table (`ag_core.schema`) fit the query; never padding. An empty query fits all.

    Raises InputError that points at the place in the query, or lists the fields when one is unknown.
    """
    real = ~is_padding(tracks)
    if not query.strip():
        return real
    try:
        test = cast(_Test, _GRAMMAR.parse_string(query, parse_all=True)[0])
    except pp.ParseBaseException as error:
        raise InputError(
            f"cannot read the track query at position {error.loc + 1}:\n  {query}\n  {' ' * error.loc}^\n"
            'expected words, "quoted phrases", field=value or field~text, joined by & | ! and parentheses; '
            "quote text that contains these signs"
        ) from None
    return test(tracks) & real


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


def _columns(tracks: xr.Dataset) -> dict[str, list[str]]:
    """Fields along `track` as lower-case text."""
    arrays = {str(name): tracks[name].values for name in tracks.variables if tracks[name].dims == ("track",)}
    return {name: [str(value).lower() for value in values] for name, values in arrays.items() if name != "track"}


def _modality(tracks: xr.Dataset) -> str:
    return str(tracks.attrs.get("modality", "")).lower()


def _contains_modality(tracks: xr.Dataset, text: str) -> bool:
    # "RNA-seq" is how people write rna_seq.
    return text.replace("-", "_").replace(" ", "_") in _modality(tracks)


def _word(tokens: pp.ParseResults) -> _Test:
    text = cast(str, tokens[0]).lower()

    def test(tracks: xr.Dataset) -> Mask:
        found = np.full(tracks.sizes["track"], _contains_modality(tracks, text))
        for name, values in _columns(tracks).items():
            if tracks[name].dtype.kind in "OUST":
                found |= np.array([text in value for value in values], bool)
        return found

    return test


def _comparison(query: str, position: int, tokens: pp.ParseResults) -> _Test:
    field, sign, value = tokens
    text = value.lower()
    position += len(query[position:]) - len(query[position:].lstrip())  # pyparsing counts from before the spaces

    def test(tracks: xr.Dataset) -> Mask:
        columns = _columns(tracks)
        if "modality" in tracks.attrs:
            columns.setdefault("modality", [_modality(tracks)] * tracks.sizes["track"])
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
    return lambda tracks: ~inner(tracks)


def _all(tokens: pp.ParseResults) -> _Test:
    parts = list(tokens)
    return lambda tracks: np.logical_and.reduce([part(tracks) for part in parts])


def _any(tokens: pp.ParseResults) -> _Test:
    parts = list(tokens)
    return lambda tracks: np.logical_or.reduce([part(tracks) for part in parts])


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
