"""PySide6, without what it does to a start and to every later import of the program.

It comes with sources in a ZIP archive that know what its functions take, for help, signatures and the words of a
TypeError, and compiles them whenever a program starts: a fifth of the least program's start. Here those that are large
wait until somebody asks for something in them.

While it is imported it puts a function of its own in the place of `import`, for who writes `from __feature__ import
snake_case`. Behind each import that one reads the source of what came, to see whether it names PySide6, and leaves it
in `linecache`: 260 files and 6 MB of a start (PYSIDE-2029). Each `import` statement costs twelve times as much for
good. Nobody here asks for a feature.

Where another release has other names, all is as it brings it.
"""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, SupportsIndex

_NAMES: Any = builtins
_FEATURES: Final = "__feature_import__"
_BEFORE: Final = "__orig_import__"
_ARCHIVE: Final = "EmbeddableZipImporter"
_SUPPORT: Final = "shibokensupport."
_LATER: Final = frozenset(
    {
        "signature.errorhandler",
        "signature.layout",
        "signature.lib.enum_sig",
        "signature.lib.pyi_generator",
        "signature.lib.tool",
        "signature.parser",
    }
)
"""Shiboken's names. It reaches for `signature.mapping` itself, past a module's `__getattr__`: that one cannot wait."""

_KNOWN: Final = frozenset({(6, 11), (6, 12)})
"""Its releases that were looked at: another one might reach for more."""

_loading = threading.RLock()


def import_qt() -> None:
    """To be called early: what is imported before has been read.

    Raises:
        ImportError: PySide6, or what it needs of the system, is not there.
    """
    finders = sys.meta_path
    sys.meta_path = _Finders(finders)
    try:
        import PySide6  # noqa: F401
    finally:
        finders[:] = sys.meta_path
        sys.meta_path = finders

    if hasattr(_NAMES, _BEFORE) and _NAMES.__import__ is getattr(_NAMES, _FEATURES, None):
        _NAMES.__import__ = getattr(_NAMES, _BEFORE)


class _Finders(list[Any]):
    """Of `sys.meta_path`, to which Shiboken adds its archive while it is imported."""

    def insert(self, index: SupportsIndex, finder: Any) -> None:
        version = getattr(sys.modules.get("shiboken6"), "__version_info__", ())
        if type(finder).__name__ == _ARCHIVE and tuple(version[:2]) in _KNOWN:
            finder.exec_module = _putting_off(finder.exec_module)
        super().insert(index, finder)


def _putting_off(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def execute_or_wait(module: ModuleType) -> None:
        if module.__name__.removeprefix(_SUPPORT) in _LATER:
            _wait(module, execute)
        else:
            execute(module)

    return execute_or_wait


def _wait(module: ModuleType, execute: Callable[[ModuleType], None]) -> None:
    """Execute a module when something is wanted that only its source makes."""
    begun = False

    def wanted(name: str) -> Any:
        nonlocal begun
        with _loading:  # another thread has it when it is whole; this one may be in the middle of it
            if not begun:
                begun = True
                spec = module.__spec__
                assert spec is not None
                spec.name, moved_to = module.__name__, spec.name  # the archive knows it by its first name
                try:
                    execute(module)
                finally:
                    spec.name = moved_to
                    vars(module).pop("__getattr__", None)
            if name in vars(module):
                return vars(module)[name]
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    vars(module)["__getattr__"] = wanted
