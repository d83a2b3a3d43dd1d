"""Where CommonCrawl's servers are: environment variables, so that a mirror or a bucket can be used instead."""

from __future__ import annotations

import os

DATA_VARIABLE, DATA = "CURATE_COMMONCRAWL", "https://data.commoncrawl.org"
"""Environment variable with the address of the archives and the columnar index, and its default."""

INDEX_VARIABLE, INDEX = "CURATE_COMMONCRAWL_INDEX", "https://index.commoncrawl.org"
"""Environment variable with the address of the list of crawls, and its default."""

CONTACT_VARIABLE = "CURATE_CONTACT"
"""Environment variable with an address at which the user can be reached, which is sent with every request by HTTP."""


def data_address() -> str:
    """The address below which the archives are, without a slash at its end."""
    return (os.environ.get(DATA_VARIABLE) or DATA).rstrip("/")


def index_address() -> str:
    """The address below which the list of crawls is, without a slash at its end."""
    return (os.environ.get(INDEX_VARIABLE) or INDEX).rstrip("/")


def is_of_commoncrawl(url: str) -> bool:
    """Whether a URL is on one of these servers, which answer too many requests with 403."""
    return url.startswith((f"{data_address()}/", f"{index_address()}/"))
