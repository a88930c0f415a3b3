"""Sphinx settings: `hatch run docs:build`."""

from ag_core import __version__

project = "The open AlphaGenome suite"
copyright = "its contributors, Apache-2.0"
version = release = __version__
extensions = ["myst_nb"]
# A test runs the notebook; here its outputs are shown as they are.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "example-plugin"]
html_theme = "sphinx_book_theme"
html_title = project
