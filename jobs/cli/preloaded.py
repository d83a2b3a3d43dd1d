"""What worker processes and their children need, loaded once by the fork server, from which they start with it."""

import gc

from curation.running import forked, own_process

own_process.begin()

import pyarrow as pa  # noqa: E402

import curation.archives.watched_child  # noqa: E402
import curation.extraction.blocks.extract  # noqa: E402
import curation.extraction.extractors  # noqa: E402
import curation.extraction.isolated_child  # noqa: E402
import curation.jobs.cli.main  # noqa: E402
import curation.jobs.steps.filter  # noqa: E402, F401
from curation.language.fasttext_kernels import fill_table  # noqa: E402
from curation.language.identify import load_model  # noqa: E402
from curation.running.clients import import_dask  # noqa: E402
from curation.running.compiled import is_cached  # noqa: E402
from curation.text.hosts import split_host  # noqa: E402

import_dask()
pa.array([""])  # imports pandas, if there is one
split_host("example.org")  # reads the list of public suffixes
if is_cached(fill_table):
    load_model()
gc.freeze()
forked.serve()
