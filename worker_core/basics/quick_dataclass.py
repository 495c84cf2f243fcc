"""`dataclass` as the standard library's, without its price at the start of a process.

The standard library writes and compiles the text of up to six methods for each class, when its module is imported: half
of what a worker's imports took. All but one of them need no text of their own, and are the same functions for all
classes; the one, `__init__`, is written when the first object is made, and most classes of a start never have one.
Fields, `replace`, `asdict`, slots, matching and inheritance are the standard library's own. What is unusual is left to
it whole. One thing differs: `inspect.signature` knows the parameters from the first object on.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: TID251 - for type checkers it is that one
else:

    def dataclass(cls=None, /, **options):
        """Decorate a class, with or without options; all of `dataclasses.dataclass` are taken."""
        if cls is None:
            return lambda decorated: _made(decorated, options)
        return _made(cls, options)


_STANDARD: Final = dataclasses.dataclass  # noqa: TID251
_UNDERSTOOD: Final = frozenset({"frozen", "slots", "kw_only", "eq", "match_args", "weakref_slot"})
_WRITTEN: Final = frozenset(
    {"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__getstate__", "__setstate__"}
)
_PARAMETERS: Final = "__dataclass_params__"
_MARKS: Final = ("KW_ONLY", "InitVar")
"""In annotations that are no field's."""
_GUARDED: Final = frozenset({"__setattr__", "__delattr__"})


class _Unset:
    def __repr__(self) -> str:
        return "<factory>"  # in signatures, as there


_UNSET: Final = _Unset()


def _made(cls: type, options: dict[str, Any]) -> type:
    frozen, eq = options.get("frozen", False), options.get("eq", True)
    bases = [vars(base)[_PARAMETERS] for base in cls.__mro__[1:] if _PARAMETERS in vars(base)]
    if _is_unusual(cls, options) or any(base.frozen != frozen for base in bases):
        return cast(type, _STANDARD(cls, **options))
    cls.__doc__ = cls.__doc__ or cls.__name__  # else the standard library looks for the signature
    for base in bases:
        base.frozen = False  # what we make looks so to the standard library: it would write two methods otherwise
    try:
        made = cast(type, _STANDARD(cls, **options | {"init": False, "repr": False, "eq": False, "frozen": False}))
    finally:
        for base in bases:
            base.frozen = frozen
    parameters = vars(made)[_PARAMETERS]
    parameters.init = parameters.repr = True
    parameters.eq, parameters.frozen = eq, frozen
    fields = dataclasses.fields(made)
    _check_order(fields)
    _give_init(made, _first_init(made, frozen=frozen))
    shared: dict[str, Any] = {"__repr__": _shown}
    if eq:
        shared |= {"__eq__": _equal, "__hash__": _hashed if frozen else None} | _values(fields)
    if frozen:
        shared |= {"__setattr__": _set_attribute, "__delattr__": _delete_attribute}
        if options.get("slots"):
            shared |= {"__getstate__": _getstate, "__setstate__": _setstate}
    for name, one in shared.items():
        setattr(made, name, one)
    return made


def _is_unusual(cls: type, options: dict[str, Any]) -> bool:
    """Methods of its own that would be written, fields that are none, options that few use, guards of a base."""
    return bool(
        not options.keys() <= _UNDERSTOOD
        or _WRITTEN & vars(cls).keys()
        or any(mark in str(kind) for kind in inspect.get_annotations(cls).values() for mark in _MARKS)
        or any(_GUARDED & vars(base).keys() and _PARAMETERS not in vars(base) for base in cls.__mro__[1:-1])
    )


def _check_order(fields: tuple[dataclasses.Field[Any], ...]) -> None:
    """As the standard library does, when the class is declared."""
    behind = False
    for one in fields:
        if one.init and not one.kw_only:
            if behind and not _has_default(one):
                raise TypeError(f"non-default argument {one.name!r} follows default argument")
            behind = behind or _has_default(one)


def _has_default(one: dataclasses.Field[Any]) -> bool:
    return one.default is not dataclasses.MISSING or one.default_factory is not dataclasses.MISSING


def _give_init(cls: type, method: Any) -> None:
    method.__name__, method.__qualname__ = "__init__", f"{cls.__qualname__}.__init__"
    method.__module__ = cls.__module__
    setattr(cls, "__init__", method)  # noqa: B010 - type checkers forbid it


def _first_init(cls: type, *, frozen: bool) -> Callable[..., None]:
    def first(self: Any, /, *args: Any, **kwargs: Any) -> None:
        written = _init(cls, frozen=frozen)
        _give_init(cls, written)
        written(self, *args, **kwargs)

    return first


def _init(cls: type, *, frozen: bool) -> Callable[..., None]:
    """As the standard library would have written it."""
    fields = dataclasses.fields(cls)
    known: dict[str, Any] = {"__set": object.__setattr__, "__unset": _UNSET}
    positional: list[str] = []
    named: list[str] = []
    body: list[str] = []
    for one in fields:
        parameter, value = one.name, one.name
        if one.default is not dataclasses.MISSING:
            known[f"__default_{one.name}"] = one.default
            parameter = f"{one.name}=__default_{one.name}"
            value = one.name if one.init else f"__default_{one.name}"
        elif one.default_factory is not dataclasses.MISSING:
            known[f"__new_{one.name}"] = one.default_factory
            parameter = f"{one.name}=__unset"
            value = f"__new_{one.name}()"
            if one.init:
                value += f" if {one.name} is __unset else {one.name}"
        elif not one.init:
            continue
        if one.init:
            (named if one.kw_only else positional).append(parameter)
        body.append(f"__set(__self, {one.name!r}, {value})" if frozen else f"__self.{one.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("__self.__post_init__()")
    parameters = ", ".join(["__self", *positional, *(["*", *named] if named else ())])
    exec(f"def __init__({parameters}):\n " + "\n ".join(body or ["pass"]), known)  # noqa: S102
    written = cast("Callable[..., None]", known["__init__"])
    written.__annotations__ = {one.name: one.type for one in fields if one.init} | {"return": None}
    return written


def _values(fields: tuple[dataclasses.Field[Any], ...]) -> dict[str, Any]:
    """What `_equal` and `_hashed` read of an object, as attributes of its class."""
    compared = tuple(one.name for one in fields if one.compare)
    hashed = tuple(one.name for one in fields if (one.compare if one.hash is None else one.hash))
    values = attrgetter(*compared or ("__class__",))
    return {
        "__dataclass_compared__": values,
        "__dataclass_hashed__": values if hashed == compared else attrgetter(*hashed or ("__class__",)),
    }


@recursive_repr()
def _shown(self: Any) -> str:
    values = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in dataclasses.fields(self) if one.repr)
    return f"{type(self).__qualname__}({values})"


def _equal(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    values = self.__dataclass_compared__
    return values(self) == values(other)


def _hashed(self: Any) -> int:
    return hash(self.__dataclass_hashed__(self))


def _set_attribute(self: Any, name: str, value: Any) -> None:
    if _is_guarded(type(self), name):
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delete_attribute(self: Any, name: str) -> None:
    if _is_guarded(type(self), name):
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _is_guarded(cls: Any, name: str) -> bool:
    """Of a class that is only derived from a dataclass, other attributes are not."""
    return _PARAMETERS in vars(cls) or any(one.name == name for one in dataclasses.fields(cls))


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in dataclasses.fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for one, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)
