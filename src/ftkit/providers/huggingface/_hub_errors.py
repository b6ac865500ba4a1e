"""What goes wrong between us and the Hub, in ftkit's words."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ftkit.errors import CredentialsError, NotFoundError, ProviderError, ProviderUnavailableError
from ftkit.methods import near

if TYPE_CHECKING:
    from collections.abc import Generator

_PROVIDER = "huggingface"
_OURS = ("small", "ftkit/small")
_UNAUTHORIZED, _NOT_FOUND, _SERVER_ERROR = 401, 404, 500
_TOKEN_HINT = "Set HF_TOKEN to a token that may read it (https://huggingface.co/settings/tokens)."  # noqa: S105 - a hint


@contextmanager
def hub_errors(model: str) -> Generator[None]:
    """Turns what the Hub, or the way to it, has to say about a model into one of ftkit's errors.

    Raises:
        NotFoundError: There is no such model.
        CredentialsError: The model is gated or private, or the token was refused.
        ProviderUnavailableError: The Hub cannot be reached, or answered 5xx, and the model is not in the cache.
        ProviderError: It answered with another error, or what it has cannot be fetched.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        raise _answered(model, error) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError) and cause.response.status_code < _SERVER_ERROR:
            raise _answered(model, cause) from error
        raise _unreachable(model, str(error).splitlines()[0]) from error
    except (httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        raise _unreachable(model, str(error) or type(error).__name__) from error
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:  # a full disk, say: it is told elsewhere
            raise
        # The first is huggingface_hub's own, of names that lead out of a repository, and the like.
        said = "it has a file of too long a name" if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise ProviderError(f"the model '{model}' cannot be fetched: {said}", provider=_PROVIDER) from error


def _answered(model: str, error: Exception) -> Exception:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    response = error.response if isinstance(error, HfHubHTTPError) else None
    status = response.status_code if response is not None else None
    request_id = error.request_id if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, GatedRepoError):
        message = f"the model '{model}' is gated, and this account was not let in"
        hint = f"Ask for access at https://huggingface.co/{model}. {_TOKEN_HINT}"
        return CredentialsError(message, hint=hint)
    if isinstance(error, RepositoryNotFoundError) or status == _NOT_FOUND:
        message = f"the Hub has no model '{model}', or it is private{near(model, _OURS)}"
        hint = f"Look for it at https://huggingface.co/models. If it is private: {_TOKEN_HINT}"
        return NotFoundError(message, provider=_PROVIDER, request_id=request_id, status_code=status, hint=hint)
    if status == _UNAUTHORIZED:
        return CredentialsError(f"the Hub refused the token, asked for '{model}'", hint=_TOKEN_HINT)
    if status is not None and status >= _SERVER_ERROR:
        return _unreachable(model, f"it answered {status}", request_id, status)
    first = str(error).strip().splitlines()[0]
    message = f"the Hub refused '{model}': {first}"
    return ProviderError(message, provider=_PROVIDER, request_id=request_id, status_code=status)


def _unreachable(
    model: str, why: str, request_id: str | None = None, status: int | None = None
) -> ProviderUnavailableError:
    reason = f"{why.rstrip('.')}{near(model, _OURS)}"
    message = f"'{model}' is not in the Hub's cache on this machine, and the Hub cannot be asked: {reason}"
    hint = "See that the network is there and HF_HUB_OFFLINE is not set; or give a folder, or the model 'ftkit/small'."
    return ProviderUnavailableError(message, provider=_PROVIDER, request_id=request_id, status_code=status, hint=hint)
