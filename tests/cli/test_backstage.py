from __future__ import annotations

import pytest

from tests.support.playground import Stage
from worker_core.cli.backstage import worker_settings
from worker_core.errors import ConfigurationError


def test_what_isolates_tools_is_the_users_to_say_in_the_playground_too(stage: Stage) -> None:
    plain = worker_settings(stage.info, {})
    assert (plain.sandbox, plain.require_sandbox) == ("auto", "ask")
    said = worker_settings(stage.info, {"KUBIYA_WORKER_REQUIRE_SANDBOX": "never", "KUBIYA_WORKER_SANDBOX": "none"})
    assert (said.sandbox, said.require_sandbox) == ("none", "never")
    with pytest.raises(ConfigurationError, match="require_sandbox"):
        worker_settings(stage.info, {"KUBIYA_WORKER_REQUIRE_SANDBOX": "perhaps"})
