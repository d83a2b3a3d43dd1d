"""Inputs to pages: archives found, unpacked, cut into records, decoded, and given out as batches.

The modules follow the bytes: `inputs`, `unpack`, `byte_runs`, `records`, `http`, `charset`, `reader`.
May import `stages` and the folders below it.
"""
