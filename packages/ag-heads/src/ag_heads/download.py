"""The published weights from Kaggle or Hugging Face, under their own terms. Source: spec/model.md section 5.

Both are gated: one logs in and accepts the (non-commercial) terms on the page once. Nothing here does that for you.
"""

import dataclasses
import pathlib
from collections.abc import Callable

from ag_core.errors import InputError

VERSIONS = ("all_folds", "fold_0", "fold_1", "fold_2", "fold_3")
_DENIED = (401, 403)


@dataclasses.dataclass(frozen=True)
class Hub:
    """A place that has the weights. `handle` and `page` take the version; `fetch` returns a folder."""

    title: str
    library: str
    extra: str
    handle: Callable[[str], str]
    page: Callable[[str], str]
    login: str
    fetch: Callable[[str], str]


def _fetch_kaggle(handle: str) -> str:
    import kagglehub

    return kagglehub.model_download(handle)


def _fetch_hugging_face(handle: str) -> str:
    import huggingface_hub

    return huggingface_hub.snapshot_download(handle)


def _dashed(version: str) -> str:
    return version.replace("_", "-")


HUBS = {
    "kaggle": Hub(
        "Kaggle",
        "kagglehub",
        "kaggle",
        lambda version: f"google/alphagenome/jax/{version}",
        lambda version: f"https://www.kaggle.com/models/google/alphagenome/jax/{version}",
        "run 'python -c \"import kagglehub; kagglehub.login()\"', or put an API token where kagglehub looks for it",
        _fetch_kaggle,
    ),
    "hf": Hub(
        "Hugging Face",
        "huggingface_hub",
        "hf",
        lambda version: f"google/alphagenome-{_dashed(version)}",
        lambda version: f"https://huggingface.co/google/alphagenome-{_dashed(version)}",
        "run 'hf auth login', or set HF_TOKEN",
        _fetch_hugging_face,
    ),
}


@dataclasses.dataclass(frozen=True)
class Source:
    """A version of the published weights at a hub."""

    hub: Hub
    version: str

    @property
    def name(self) -> str:
        """What the model is called here, unless the user says otherwise."""
        return f"alphagenome-{_dashed(self.version)}"

    @property
    def handle(self) -> str:
        """What the hub calls it."""
        return self.hub.handle(self.version)


def parse(text: str) -> Source | None:
    """The meaning of "kaggle:all_folds" or "hf:fold-0"; None for anything without such a prefix (a path).

    Raises InputError for a version that does not exist.
    """
    prefix, colon, version = text.partition(":")
    if not colon or prefix not in HUBS:
        return None
    if version.replace("-", "_") not in VERSIONS:
        raise InputError(f"{text}: no version {version!r}; there are {', '.join(VERSIONS)}")
    return Source(HUBS[prefix], version.replace("-", "_"))


def download(source: Source) -> pathlib.Path:
    """The folder with the files, fetched unless the library's cache has them.

    Raises InputError when the library is not installed, or the hub refuses or cannot be reached.
    """
    hub = source.hub
    try:
        return pathlib.Path(hub.fetch(source.handle))
    except ModuleNotFoundError as error:
        if error.name != hub.library:
            raise
        raise InputError(f'{hub.title} needs {hub.library}: pip install "ag-heads[{hub.extra}]"') from error
    except Exception as error:  # each library has its own classes, which share only how they say "denied"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if _is_denied(error):
            message = (
                f"{hub.title} refuses {source.handle}: read and accept the terms at {hub.page(source.version)}, "
                f"then log in ({hub.login}) and try again ({reason})"
            )
        else:
            message = f"{hub.title}: cannot fetch {source.handle}: {type(error).__name__}: {reason}"
        raise InputError(message) from error


def _is_denied(error: BaseException) -> bool:
    # UnauthenticatedError (Kaggle) and LocalTokenNotFoundError (Hugging Face) carry no response.
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status in _DENIED or type(error).__name__ in ("UnauthenticatedError", "LocalTokenNotFoundError")
