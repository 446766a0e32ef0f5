"""Reports: a run folder, or several, as one self-contained HTML page that needs no network."""

from sparring.report.overlays import Comparison
from sparring.report.page import card_of, page_of, report_folder, report_run, report_runs
from sparring.report.read import find_runs
from sparring.report.report_page import ReportPage
from sparring.report.time_to_level import times_to_levels

__all__ = [
    "Comparison",
    "ReportPage",
    "card_of",
    "find_runs",
    "page_of",
    "report_folder",
    "report_run",
    "report_runs",
    "times_to_levels",
]
