"""Loggers: the log of a run is one stream of rows, and sinks take them."""

from sparring.loggers.base import LoggedRun, LogSink, Row, curves
from sparring.loggers.stream import RowWriter, require_loggers, row_stream

__all__ = ["LogSink", "LoggedRun", "Row", "RowWriter", "curves", "require_loggers", "row_stream"]
