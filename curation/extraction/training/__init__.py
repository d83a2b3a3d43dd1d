"""Training of the extractor "blocks" on pages whose main text is known.

`gold` reads the pages, `labels` says how much of each block is main text, `vocabulary` counts what surrounds main text,
`fit` trains the trees, measures them on domains they have not seen, and makes the model.
"""
