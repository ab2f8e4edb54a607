"""The documentation site (`make docs`). Its pages need neither JavaScript nor network."""

import re

from docutils import nodes
from latex2mathml.converter import convert

from hycon import __version__

project = "HyCon, reproduced"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
default_role = "py:obj"  # `name` in a docstring links to the object
autodoc_typehints = "none"  # the descriptions give shapes and dtypes
napoleon_use_rtype = False
html_theme = "furo"
html_title = project
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"


def setup(app):
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )
    app.connect("source-read", _name_files)
    app.connect("autodoc-process-docstring", _link_method)


def _inline(translator, node):
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(translator, node):
    formula = convert(node.astext(), display="block")
    translator.body.append(f'<div class="math">{formula}</div>\n')
    raise nodes.SkipNode


def _name_files(app, page, source):
    """Replace links to files outside of this folder by their paths."""
    source[0] = re.sub(
        r"\[([^\]]+)\]\(\.\./([^)]+)\)",
        lambda link: f"`{link[2]}`" if link[1] == link[2] else f"{link[1]} (`{link[2]}`)",
        source[0],
    )


def _link_method(app, what, name, subject, options, lines):
    """Link "Method: section 7." to the page of the method."""
    for number, line in enumerate(lines):
        if line.startswith("Method: section"):
            lines[number] = f":doc:`Method <method>`{line.removeprefix('Method')}"
