"""PyTorch's own launcher: processes on this machine, or on several that reach each other by address."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import signal
import socket
import uuid
from collections.abc import Iterator
from typing import Annotated

from rnnzoo.errors import RunError, ZooError
from rnnzoo.launchers.base import Job, Launcher
from rnnzoo.limits import Limit, checked
from rnnzoo.system import console

Port = Annotated[int, Limit(1, 65535)]


class TorchRun(Launcher):
    """Starts processes by torchrun's elastic agent. One that fails ends the others, and its exit code is the run's.

    hosts: addresses of the machines, the first one's being where all meet; numbers, as names may lead elsewhere.
    node: which of them this is. port: of the first. interface: of the network between them, such as "eth0".
    seconds: until a machine gives up waiting for the others.
    """

    @checked
    def __init__(
        self,
        hosts: list[str] | None = None,
        node: Annotated[int, Limit(0)] = 0,
        port: Port = 29500,
        interface: str | None = None,
        seconds: Annotated[int, Limit(1)] = 600,
    ) -> None:
        self.hosts = hosts or []
        self.node = node
        self.port = port
        self.interface = interface
        self.seconds = seconds

    def script(self, job: Job) -> str:
        hosts = self._hosts(job)
        lines = [
            "#!/bin/sh",
            f"# {job.name}: {job.nodes} hosts x {job.devices} processes. Each host runs its own lines.",
        ]
        for node, host in enumerate(hosts):
            interface = self.interface or f"$(ip -o -4 addr show to {shlex.quote(host)} | awk '{{print $2; exit}}')"
            words = ["torchrun", "--nnodes", str(job.nodes), "--nproc_per_node", str(job.devices)]
            words += ["--node_rank", str(node), "--master_addr", hosts[0], "--master_port", str(self.port)]
            words += ["--local_addr", host, "--rdzv_conf", f"timeout={self.seconds}"]
            lines += ["", f"# host {node}: {host}", f"cd {shlex.quote(str(job.folder))}"]
            if job.nodes > 1:
                lines.append(f'export GLOO_SOCKET_IFNAME="{interface}" NCCL_SOCKET_IFNAME="{interface}"')
            lines.append(shlex.join([*words, "-m", "rnnzoo", *job.words]))
        return "\n".join(lines) + "\n"

    def run(self, job: Job) -> int:
        hosts = self._hosts(job)
        if self.node >= job.nodes:
            raise ZooError(f"launch.node: must be below {job.nodes}, the number of nodes, got {self.node}.")
        from torch.distributed import DistStoreError
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

        alone = job.nodes == 1
        config = LaunchConfig(
            min_nodes=job.nodes,
            max_nodes=job.nodes,
            nproc_per_node=job.devices,
            run_id=uuid.uuid4().hex if alone else "rnnzoo",
            rdzv_backend="c10d" if alone else "static",
            rdzv_endpoint="localhost:0" if alone else f"{hosts[0]}:{self.port}",
            rdzv_configs={"rank": self.node, "timeout": self.seconds},
            max_restarts=0,
            monitor_interval=0.1,
            local_addr=None if alone else hosts[self.node],
        )
        with _quiet(), self._environment(job):
            try:
                elastic_launch(config, job.command[0])(*job.command[1:])
            except ChildFailedError as failed:
                rank, failure = failed.get_first_failure()
                if failure.exitcode >= 0:  # its own message stands above
                    return int(failure.exitcode)
                console.print_error(_killed(rank, -failure.exitcode, job))
                return int(128 - failure.exitcode)
            except SignalException as stop:
                return 128 + stop.sigval
            except DistStoreError as error:
                raise self._nobody(error, hosts[0], job.nodes) from error
        return 0

    def _hosts(self, job: Job) -> list[str]:
        """The address of each node. Raises: ZooError."""
        hosts = self.hosts or ["127.0.0.1"] * (job.nodes == 1)
        if len(hosts) != job.nodes:
            raise ZooError(
                f"launch.hosts: must be the addresses of {job.nodes} nodes, got {len(hosts)}.\n"
                "  For two machines: --nodes 2 --launch.hosts '[10.0.0.1, 10.0.0.2]'."
            )
        return hosts

    def _nobody(self, error: Exception, host: str, nodes: int) -> RunError:
        """The error for a rendezvous where machines are missing."""
        joined = re.search(r"(\d+)/\d+ clients joined", str(error))
        came = f"{joined[1]} of {nodes} machines came" if joined else f"there is no answer for one of {nodes} machines"
        return RunError(
            f"cannot start the run: {came} to {host}:{self.port} within {self.seconds} seconds.\n"
            "  Start the same command on each machine with its own --launch.node, and let the port through.\n"
            "  --launch.hosts names the addresses, --launch.interface the network, --launch.seconds the time to wait."
        )

    @contextlib.contextmanager
    def _environment(self, job: Job) -> Iterator[None]:
        """What the processes find: the network to use, and their share of this machine's cores."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        wanted = {"OMP_NUM_THREADS": str(max(1, cores // job.devices))}
        if self.interface:
            wanted |= {"GLOO_SOCKET_IFNAME": self.interface, "NCCL_SOCKET_IFNAME": self.interface}
        added = {name: value for name, value in wanted.items() if name not in os.environ}
        os.environ.update(added)
        try:
            yield
        finally:
            for name in added:
                del os.environ[name]


def _killed(rank: int, number: int, job: Job) -> str:
    """The message for a process that a signal has ended, and the others with it."""
    name = signal.Signals(number).name if number in {*signal.Signals} else f"signal {number}"
    return (
        f"process {rank} of {job.nodes * job.devices} on {socket.gethostname()} was ended by {name}, "
        "and the others with it.\n"
        "  The system does so where memory runs out: SIGKILL.\n"
        f"  Go on from the last state: --resume auto --run_dir {job.run_dir}"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence torchrun's account of a failure, whose own message stands above it; put its signal handlers back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    loggers = [logging.getLogger(name) for name in ("torch.distributed.elastic", "torch.distributed.launcher")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)
