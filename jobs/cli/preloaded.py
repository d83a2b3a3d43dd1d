"""What worker processes and their children need, loaded once by the fork server, from which they start with it."""

import gc
import os

from curation.running import fork_server, forked, own_process

if fork_server.IS_SERVER in os.environ:  # else a test imports this
    own_process.begin()

import pyarrow as pa

import curation.archives.watched_child
import curation.extraction.blocks.extract
import curation.extraction.extractors
import curation.extraction.isolated_child
import curation.jobs.cli.main
import curation.jobs.steps.filter  # noqa: F401
from curation.language.fasttext_kernels import fill_table
from curation.language.identify import load_model
from curation.running.clients import import_dask
from curation.running.compiled import is_cached
from curation.text.hosts import split_host

if fork_server.IS_SERVER in os.environ:
    import_dask()
    pa.array([""])  # imports pandas, if there is one
    split_host("example.org")  # reads the list of public suffixes
    if is_cached(fill_table):
        load_model()
    gc.freeze()
    forked.serve()
