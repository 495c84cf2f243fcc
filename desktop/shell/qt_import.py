"""PySide6, without what it does to every later import of the program.

While it is imported it puts a function of its own in the place of `import`, for who writes `from __feature__ import
snake_case`. Behind each import that one reads the source of what came, to see whether it names PySide6, and leaves it
in `linecache`: 260 files and 6 MB of a start (PYSIDE-2029). Each `import` statement costs twelve times as much for
good. Nobody here asks for a feature.
"""

from __future__ import annotations

import builtins
from typing import Any, Final

_NAMES: Any = builtins
_FEATURES: Final = "__feature_import__"
_BEFORE: Final = "__orig_import__"
"""Shiboken's names (6.11)."""


def import_qt() -> None:
    """To be called early: what is imported before has been read.

    Raises:
        ImportError: PySide6, or what it needs of the system, is not there.
    """
    import PySide6  # noqa: F401

    if hasattr(_NAMES, _BEFORE) and _NAMES.__import__ is getattr(_NAMES, _FEATURES, None):
        _NAMES.__import__ = getattr(_NAMES, _BEFORE)
