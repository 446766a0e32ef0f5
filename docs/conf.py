"""The site: `make docs` builds it from docs/ and from the docstrings of src/ without a network."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "docs" / "site")]
# Notebooks run in processes of their own, which inherit these.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
os.environ.setdefault("SPARRING_CACHE", tempfile.mkdtemp(prefix="sparring-docs-"))

import sparring  # noqa: E402

project, author = "sparring", "the sparring authors"
version = release = sparring.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "api_pages",
    "written_signatures",
    "mathml",
    "navigation",
    "plain_docstrings",
    "python_names",
    "source_pages",
]
exclude_patterns = ["site"]
nitpicky = True

html_theme = "furo"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_title = "sparring"
html_show_copyright = html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"
pygments_dark_style = "monokai"

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
myst_update_mathjax = False

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 180
nb_execution_show_tb = True
nb_output_stderr = "remove"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_use_type_comments = False
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "exclude-members": "model_config, model_fields, model_computed_fields, model_post_init",
}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Values", "params_style")]
default_role = "code"
