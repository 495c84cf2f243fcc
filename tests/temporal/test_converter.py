from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import ModelCall
from worker_core.logs.redaction import Redactor
from worker_core.temporal.converter import DATA_CONVERTER, PACKED_ENCODING, data_converter

converter = DATA_CONVERTER.payload_converter
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def there_and_back(value: Any, hint: type | None = None) -> Any:
    payloads = converter.to_payloads([value])
    return converter.from_payloads(payloads, None if hint is None else [hint])[0]


@given(json_values)
def test_plain_values_survive_and_stay_plain_json(value: Any) -> None:
    (payload,) = converter.to_payloads([value])
    if value is None:
        assert payload.metadata["encoding"] == b"binary/null"
    else:
        assert payload.metadata["encoding"] == b"json/plain"
        assert json.loads(payload.data) == value
    assert there_and_back(value) == value


def test_conversations_travel_compressed() -> None:
    call = ModelCall(
        execution_id="e",
        turn=1,
        model="m",
        messages=tuple({"role": "user", "content": "the same words again"} for _ in range(500)),
        tools=(),
        message_id="x",
    )
    (payload,) = converter.to_payloads([call])
    assert payload.metadata["encoding"] == PACKED_ENCODING.encode()
    assert len(payload.data) < 2000
    assert there_and_back(call, ModelCall) == call


@dataclass(frozen=True)
class Newer:
    execution_id: str
    added_later: int = 3


def test_a_field_that_came_later_takes_its_default_and_an_unknown_one_is_ignored() -> None:
    assert there_and_back({"execution_id": "e", "gone": 1}, Newer) == Newer(execution_id="e")


def test_a_payload_that_unpacks_without_end_is_refused() -> None:
    import zlib

    bomb = zlib.compressobj()
    data = b"".join(bomb.compress(b" " * (1 << 24)) for _ in range(17)) + bomb.flush()
    payload = Payload(metadata={"encoding": PACKED_ENCODING.encode()}, data=data)
    with pytest.raises(ApplicationError, match="larger than"):
        converter.from_payloads([payload])


WIRE_KEYS = [
    *ExecutionInput.__slots__, "agent_id", "team_id", "agent_config", "team_config", "entity_type",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(WIRE_KEYS), json_values))
def test_any_input_object_is_read_with_nulls_replaced(raw: dict[str, Any]) -> None:
    dynamic = ExecutionInput.from_dynamic_wire(raw, fallback_id="fallback")
    for read in (
        ExecutionInput.from_wire(raw, kind="agents", fallback_id="fallback"),
        ExecutionInput.from_wire(raw, kind="teams", fallback_id="fallback"),
        dynamic,
    ):
        assert read.execution_id
        assert isinstance(read.user_metadata, dict)
        assert isinstance(read.config, dict)
        assert isinstance(read.prompt, str)
        assert isinstance(read.runtime_type, str)
        assert read.runtime_type or read is dynamic, "only a dynamic execution leaves it open"
        assert read.unattended in {True, False}


def test_a_team_is_read_from_either_spelling() -> None:
    llm = {"model": "m", "temperature": 0.1}
    for key in ("team_config", "config"):
        read = ExecutionInput.from_wire(
            {"team_id": "t", key: {"llm": llm, "runtime": "claude_code"}}, kind="teams", fallback_id="f"
        )
        assert (read.entity_id, read.model_id, read.model_config) == ("t", "m", {"temperature": 0.1})
        assert read.runtime_type == "claude_code"


def test_failures_leave_masked_with_their_causes_and_traces() -> None:
    redactor = Redactor()
    redactor.add("declared-canary-1")
    told = Failure()
    try:
        try:
            try:
                raise ValueError("illegal header b'Bearer declared-canary-1'")
            except ValueError as error:
                raise RuntimeError("https://me:pa55word@host: declared-canary-1") from error
        except RuntimeError as error:
            raise ApplicationError("not done: declared-canary-1", "llm_model_error", type="GatewayError") from error
    except ApplicationError as error:
        data_converter(redactor.mask).failure_converter.to_failure(error, converter, told)
    assert told.message == "not done: ***"
    assert told.application_failure_info.type == "GatewayError"
    assert told.cause.message == "https://***@host: ***"
    assert told.cause.cause.message == "illegal header b'Bearer ***'"
    assert b"canary" not in told.SerializeToString()
    assert b"pa55word" not in told.SerializeToString()
    assert "test_converter.py" in told.stack_trace


def test_a_failure_that_is_passed_on_is_masked_as_well() -> None:
    """As a workflow passes on what an activity of an older worker told."""
    told, again = Failure(), Failure()
    DATA_CONVERTER.failure_converter.to_failure(ApplicationError("declared-canary-1"), converter, told)
    passed_on = DATA_CONVERTER.failure_converter.from_failure(told, converter)
    data_converter(lambda text: text.replace("declared-canary-1", "***")).failure_converter.to_failure(
        passed_on, converter, again
    )
    assert again.message == "***"
