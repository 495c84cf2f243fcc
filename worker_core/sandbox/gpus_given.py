"""Which mechanism gives calls GPUs, and when it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker_core.basics.sentences import worded
from worker_core.network.reachable import Network
from worker_core.sandbox.limits import is_root

if TYPE_CHECKING:
    from worker_core.machine.gpus import GpuGrant


def withheld(name: str, network: Network) -> str:
    """Why a mechanism gives no call any, as a sentence; empty: it does.

    Where it does, a call may write to its /proc. In Landlock that is the machine's, and in the machine's own network a
    part of it is: root could change there what is everybody's.

    Args:
        name: of the launcher.
        network: of the call.
    """
    if name not in {"bubblewrap", "landlock"}:
        return worded("No call is given a GPU: {name} gives none.", name=name)
    if name == "landlock" and is_root():
        return worded("No call is given a GPU: in Landlock root gets none.")
    if network is Network.HOST and is_root():
        return worded("No call is given a GPU: in the machine's own network root gets none.")
    return ""


def given(gpus: GpuGrant | None, *, name: str, network: Network) -> GpuGrant | None:
    """What of a grant a mechanism gives. None: nothing was said of GPUs."""
    if gpus is None or not withheld(name, network):
        return gpus
    from worker_core.machine.gpus import NO_GPU

    return NO_GPU
