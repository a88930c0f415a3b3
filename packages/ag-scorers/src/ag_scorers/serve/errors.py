"""Why a request is not answered: a gRPC status by name, its HTTP code, and words for whoever asked."""

from ag_core.errors import InputError

# gRPC status -> HTTP code. Clients try again after RESOURCE_EXHAUSTED and UNAVAILABLE.
HTTP_CODES = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 413,
    "NOT_FOUND": 404,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "CANCELLED": 499,
    "INTERNAL": 500,
}


class ServiceError(Exception):
    """A request is refused or given up; `status` is a key of `HTTP_CODES`."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


def too_long(message: str) -> ServiceError:
    """More than the server's bounds allow; trying again does not help."""
    return ServiceError("OUT_OF_RANGE", message)


def describe(error: BaseException) -> tuple[str, str]:
    """Status and text of any exception; of what nobody foresaw, no more than its kind leaves the server."""
    if isinstance(error, ServiceError):
        return error.status, str(error)
    if isinstance(error, InputError):
        return "INVALID_ARGUMENT", str(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return "RESOURCE_EXHAUSTED", "the device has no memory left for this request; ask for less, or try again"
    return "INTERNAL", f"the server failed ({type(error).__name__}); its log says more"
