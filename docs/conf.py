"""How Sphinx makes a site of these pages: make docs.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os

# pylint: disable=invalid-name
project = "microvm"
author = "The microvm maintainers"
project_copyright = author
with open(os.path.join(os.path.dirname(__file__), "..", "VERSION"), encoding="ascii") as file:
    release = version = file.read().strip()

# Nothing but what python3-sphinx brings, and nothing of the network.
html_theme = "alabaster"
html_theme_options = {"nosidebar": False, "show_powered_by": False, "page_width": "60em"}
html_sidebars = {"**": ["globaltoc.html", "searchbox.html"]}
html_show_copyright = False
html_copy_source = False
highlight_language = "none"
smartquotes = False
nitpicky = True
