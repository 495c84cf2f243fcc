"""Classes beside the standard library's of the same body: nobody who uses one can tell which it is."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, FrozenInstanceError, InitVar, field
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.imports import ROOT
from worker_core.basics.quick_dataclass import dataclass

Kind = TypeVar("Kind")

FIELDS: Mapping[str, Callable[[], Any]] = {
    "needed": lambda: MISSING,
    "value": lambda: 7,
    "field": lambda: field(default=8),
    "made": lambda: field(default_factory=list),
    "not shown": lambda: field(default=9, repr=False),
    "not compared": lambda: field(default=10, compare=False),
    "not in the hash": lambda: field(default=11, hash=False),
    "not given": lambda: field(default=12, init=False),
    "made, not given": lambda: field(default_factory=dict, init=False),
    "by name": lambda: field(default=13, kw_only=True),
    "needed by name": lambda: field(kw_only=True),
    "in order": lambda: field(default=14, kw_only=False),
}
bodies = st.lists(st.sampled_from(sorted(FIELDS)), max_size=5)
ways = st.fixed_dictionaries(
    {}, optional={name: st.booleans() for name in ("frozen", "slots", "kw_only", "eq", "match_args", "order")}
)
numbers = st.integers(0, 3)
arguments = st.tuples(
    st.lists(numbers, max_size=4), st.dictionaries(st.sampled_from(["a0", "a1", "b0", "b1", "c"]), numbers, max_size=4)
)


def declared(decorate: Any, way: Mapping[str, bool], *bodies: list[str]) -> Any:
    """A class with these fields; of several bodies, each is derived from the one before."""
    made: type = object
    for letter, body in zip("ab", bodies, strict=False):
        fields = {f"{letter}{number}": FIELDS[name]() for number, name in enumerate(body)}
        space = {name: value for name, value in fields.items() if value is not MISSING}
        space |= {"__annotations__": dict.fromkeys(fields, "int"), "__module__": __name__}
        made = decorate(**way)(type("Made", (made,) if made is not object else (), space))
    return made


def outcome(action: Callable[[], Any]) -> Any:
    try:
        return repr(action())
    except Exception as error:
        return type(error), str(error)


def seen(cls: Any, first: Any, second: Any) -> list[Any]:
    """What can be told of a class and two of its objects."""

    def make(given: Any) -> Any:
        return cls(*given[0], **given[1])

    told = [outcome(lambda: make(first)), outcome(lambda: make(second))]
    told += [str(inspect.signature(cls)), repr(cls.__dataclass_params__), cls.__hash__ is None, cls.__qualname__]
    told += [repr(getattr(cls, "__match_args__", None)), [repr(one) for one in dataclasses.fields(cls)]]
    if isinstance(told[0], tuple):
        return told
    one, names = make(first), [each.name for each in dataclasses.fields(cls)]
    told += [outcome(lambda: one == make(second)), outcome(lambda: one < make(second)), one == make(first)]
    told += [outcome(lambda: hash(one) == hash(copy.copy(one))), outcome(lambda: copy.deepcopy(one))]
    told += [outcome(lambda: dataclasses.asdict(one))]
    told += [outcome(lambda name=name: dataclasses.replace(one, **{name: 5})) for name in names]
    told += [outcome(lambda name=name: setattr(one, name, 4)) for name in names]
    told += [outcome(lambda name=name: delattr(one, name)) for name in names[:1]]
    told += [isinstance(outcome(lambda: setattr(one, "unknown", 4)), tuple)]  # the class differs from 3.12 on
    return [*told, outcome(lambda: one)]


@given(way=ways, body=bodies, base=st.none() | bodies, first=arguments, second=arguments)
def test_it_is_as_the_standard_librarys(
    way: dict[str, bool], body: list[str], base: list[str] | None, first: Any, second: Any
) -> None:
    bodies = (body,) if base is None else (base, body)
    try:
        theirs = declared(dataclasses.dataclass, way, *bodies)
    except (TypeError, ValueError) as refused:
        with pytest.raises(type(refused)):
            declared(dataclass, way, *bodies)
        return
    assert seen(declared(dataclass, way, *bodies), first, second) == seen(theirs, first, second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = 0
    names: list[str] = field(default_factory=list, compare=False)
    where: ClassVar[str] = "here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Point):
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.x + self.y)


def test_it_goes_through_pickle_and_copy() -> None:
    for one in (Point(x=1, names=["a"]), Sum(x=1, y=2)):
        for again in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
            assert again == one
            assert again.names == one.names
            assert {one: 1}[again] == 1


def test_what_is_derived_is_frozen_as_well_and_never_half() -> None:
    one = Sum(x=1, y=2)
    assert one.total == 3
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        one.x = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="cannot inherit non-frozen"):
        dataclass(type("Loose", (Point,), {}))
    with pytest.raises(TypeError, match="cannot inherit frozen"):
        dataclass(frozen=True)(type("Hard", (dataclass(type("Soft", (), {})),), {}))

    @dataclasses.dataclass(frozen=True)
    class Theirs(Point):
        z: int = 1

    assert repr(Theirs(x=1)).endswith("Theirs(x=1, y=0, names=[], z=1)")


def test_methods_of_its_own_stay() -> None:
    @dataclass
    class Own:
        value: int
        extra: InitVar[int] = 1

        def __post_init__(self, extra: int) -> None:
            self.value += extra

        def __repr__(self) -> str:
            return f"<{self.value}>"

        def __eq__(self, other: object) -> bool:
            return True

    assert repr(Own(1)) == "<2>"
    assert Own(1) == 5
    assert Own.__hash__ is None


def test_bases_that_are_none_and_parameters_of_types() -> None:
    @dataclass(frozen=True)
    class Shape(ABC, Generic[Kind]):
        kind: Kind

        @abstractmethod
        def area(self) -> int: ...

    @dataclass(frozen=True)
    class Square(Shape[str]):
        side: int

        def area(self) -> int:
            return self.side**2

    with pytest.raises(TypeError, match="abstract"):
        Shape("a")  # type: ignore[abstract]
    assert Square("a", 3).area() == 9
    assert Square("a", 3) == Square("a", 3) != Square("b", 3)


@pytest.mark.parametrize("decorate", [dataclass, dataclasses.dataclass])
def test_only_fields_of_a_class_that_is_derived_without_being_one_are_frozen(decorate: Any) -> None:
    derived = type("Derived", (decorate(frozen=True)(type("Made", (), {"__annotations__": {"x": "int"}})),), {})
    one = derived(1)
    one.more = 2
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        one.x = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del one.x
    del one.more
    assert not hasattr(one, "more")
    assert one == derived(1) != derived(2)


@pytest.mark.parametrize("decorate", [dataclass, dataclasses.dataclass])
def test_a_base_hears_what_is_set_beside_the_fields(decorate: Any) -> None:
    heard: list[str] = []

    class Hearing:
        def __setattr__(self, name: str, value: object) -> None:
            heard.append(name)

    derived = type("Derived", (decorate(frozen=True)(type("Made", (Hearing,), {"__annotations__": {"x": "int"}})),), {})
    derived(1).more = 2
    assert heard == ["more"]


def test_classes_have_their_methods_together_but_for_one() -> None:
    names = ("__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__getstate__", "__setstate__")
    other = dataclass(frozen=True, slots=True)(type("Other", (), {"__annotations__": {"z": "int"}}))
    assert [name for name in names if vars(other)[name] is not vars(Point)[name]] == []
    assert vars(other)["__init__"] is not vars(Point)["__init__"]


def test_one_that_holds_itself_can_be_shown() -> None:
    @dataclass
    class Node:
        next: Any = None

    node = Node()
    node.next = node
    assert repr(node).endswith("Node(next=...)")


def test_no_text_is_compiled_before_the_first_object_is_made() -> None:
    program = (
        "import sys\nfrom worker_core.basics.quick_dataclass import dataclass\ncompiled = []\n"
        "sys.addaudithook(lambda name, what: name == 'compile' and compiled.append(what))\n"
        "class Body: x: int = 1\n"
        "made = dataclass(frozen=True, slots=True, kw_only=True)(Body)\nprint(len(compiled))\n"
        "made(); made(x=2) == made(x=3); hash(made()); repr(made())\nprint(len(compiled))"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    declaring, using = map(int, answer.stdout.split())
    assert declaring <= 1  # the standard library's own of Python 3.13, which is empty
    assert using == declaring + 1
