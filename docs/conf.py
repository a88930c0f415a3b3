"""Sphinx settings: `hatch run docs:build`."""

import pathlib
import sys

from ag_core import __version__

sys.path.insert(0, str(pathlib.Path(__file__).parent))

project = "The open AlphaGenome suite"
copyright = "its contributors, Apache-2.0"
version = release = __version__
extensions = ["myst_nb", "sphinx_reference"]
# A test runs the notebook; here its outputs are shown as they are.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "example-plugin"]
# The reference: types by their last word, and long signatures with a line for each argument.
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False
# Options and code in plain text stay as they are typed: `--gtf`, not a dash.
smartquotes = False
html_theme = "sphinx_book_theme"
html_title = project
