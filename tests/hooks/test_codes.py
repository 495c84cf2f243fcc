"""Codes that allow a call from where its user was called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from tests.hooks.asking import question
from worker_core.hooks.codes import Codes, Kind
from worker_core.snapshot import QuestionPart


def test_codes_differ_by_all_that_they_are_bound_to(tmp_path: Path) -> None:
    codes = Codes(tmp_path / "state" / "key")
    asked = question()
    others = [
        question(2), msgspec.structs.replace(asked, digest="x"),
        msgspec.structs.replace(asked, asked_at=asked.expires_at),
    ]  # fmt: skip
    made = [codes.of(one, kind) for one in (asked, *others) for kind in get_args(Kind)]
    made.append(Codes(tmp_path / "another").of(asked, "owner"))
    assert len(set(made)) == len(made)
    shown = msgspec.structs.replace(asked, parts=(QuestionPart(name="command", text="another"),))
    assert Codes(tmp_path / "state" / "key").of(shown, "owner") not in made
    assert Codes(tmp_path / "state" / "key").of(asked, "owner") == made[0]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_a_key_that_others_could_have_read_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "key"
    first = Codes(file).of(asked := question(), "owner")
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    assert Codes(file).of(asked, "owner") != first
    file.write_bytes(b"short")
    assert len(Codes(file).of(asked, "owner")) == 32


def test_a_code_is_found_among_those_that_wait(tmp_path: Path) -> None:
    codes = Codes(tmp_path / "key")
    many = [question(number) for number in range(500)]
    assert codes.find(codes.of(many[250], "shown"), many, kinds=("shown", "unseen")) == (many[250], "shown")
    assert codes.find(codes.of(many[250], "owner"), many, kinds=("shown", "unseen")) is None
    assert codes.find(codes.of(many[250], "shown"), many[:250], kinds=("shown",)) is None
    assert codes.find("0" * 32, [], kinds=("shown",)) is None
