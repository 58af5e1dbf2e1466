"""Sphinx: MyST for the pages, autodoc for the reference; nothing is fetched from the network."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "redouble"
copyright = "the redouble contributors"
version = release = installed_version("redouble")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "redouble_docs",
    "synonyms",
]
exclude_patterns = ["_build", "_ext"]

# A broken reference is an error. Exempt is what annotations name: a name for type checkers only, a type variable, a class
# inside the package, or one of the standard library's, whose documentation would have to be fetched to be linked.
nitpicky = True
nitpick_ignore_regex = [
    (
        "py:(class|obj|data|exc)",
        r"(?!redouble\.((jitters|loops|testing|types)\.)?[^.]+$).+",
    )
]

default_role = "code"  # docstrings write `None` as Markdown does
toc_object_entries_show_parents = "hide"

autodoc_member_order = "groupwise"
# An adapter is documented without the library that it is for.
autodoc_mock_imports = [
    "aiohttp",
    "celery",
    "grpc",
    "httpx",
    "multidict",
    "opentelemetry",
    "prometheus_client",
    "redis",
    "sentry_sdk",
    "sqlalchemy",
    "structlog",
]
maximum_signature_line_length = 76
autodoc_use_type_comments = False  # there are none, and looking for them trips over classes whose module is the facade
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Fields", "params_style")]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

html_theme = "furo"
html_extra_path = ["llms.txt"]
html_static_path = ["_static"]
html_css_files = ["redouble.css"]
html_js_files = ["filter.js"]
html_title = f"redouble {release}"

# What is copied is what was typed: without prompts, and without what the snippet printed.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True
