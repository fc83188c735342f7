"""The site of the documentation: `make docs-site`. Strict: a dead link fails the build."""

project = "easymo"
author = "EasyMO platform team"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "easymo"
source_suffix = {".md": "markdown"}
root_doc = "index"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "dollarmath"]
exclude_patterns: list[str] = []
nitpicky = True
# Pages are read on the site and in the repository: a link to a folder is for the latter only.
suppress_warnings = ["myst.header"]
