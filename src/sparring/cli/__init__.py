"""The command line: a verb parses its options, calls one function, prints. Torch is imported inside verbs only."""

from sparring.cli.command_line import app, main

__all__ = ["app", "main"]
