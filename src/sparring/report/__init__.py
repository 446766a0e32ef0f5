"""Reports: a run folder, or several, as one self-contained HTML page that needs no network."""

from sparring.report.page import report_folder, report_model, report_run, report_runs
from sparring.report.read import find_runs

__all__ = ["find_runs", "report_folder", "report_model", "report_run", "report_runs"]
