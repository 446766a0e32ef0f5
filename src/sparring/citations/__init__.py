"""The papers that the pieces of a recipe are from, as BibTeX."""

from sparring.citations.citing import Citation, citations_of, own_pieces, software_entry

__all__ = ["Citation", "citations_of", "own_pieces", "software_entry"]
