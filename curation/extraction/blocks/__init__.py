"""The extractor "blocks": splits a page into blocks of text, chooses some with a trained model, writes their text.

`parse` reads HTML into flat arrays of elements, blocks and runs of text; `measure` computes the features of blocks;
`model` estimates how much of each block is main text; `choose` picks the blocks; `write` writes their text, `markdown`
the same with its structure, from a `draft` of the page. `embedded` finds the text of pages that have it in scripts.
"""
