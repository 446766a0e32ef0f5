"""What the library promises of its reliability, each promise as trials that can fail.

`make test` runs a few trials of every promise, `make torture` many; both run the same code.
"""
