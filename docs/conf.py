"""How the documents are built: sphinx, furo, Markdown by myst.

In:  docs/*.md. Out: HTML; warnings are errors (`make docs`).
"""

from armillary import __version__

project = "Armillary"
author = "The Armillary authors"
project_copyright = "The Armillary authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Armillary {__version__}"
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]  # no mathematics by JavaScript: pages open without network
myst_heading_anchors = 3
nitpicky = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
