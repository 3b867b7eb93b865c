"""The launcher `ray`: the processes of a run are workers of Ray Train, on this machine or in a cluster."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from rnnzoo import Job, Launcher, Limit, NonNegative, Positive, RunError, ZooError, checked

ENVIRONMENT = {  # before Ray is imported, and passed on to what it starts
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",  # would print everything twice
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",  # would send rnnzoo's warnings to a file
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # seconds until a worker that was killed is missed
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
STORE = 2**28  # bytes for Ray's objects; by itself it takes 30 % of the memory
STOPS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")
PATIENCE = 15.0  # seconds for the others to end after one has
MISTAKE, KILLED = 2, 128 + 9


class Outcome(NamedTuple):
    """How a try ended. killed: whether a worker was, so that another try may do better."""

    code: int
    message: str
    killed: bool = False


class Ray(Launcher):
    """Starts processes as workers of Ray Train. One that is killed ends the others.

    address: of a cluster, "HOST:PORT", or "auto" for one that this machine belongs to; None starts Ray on this machine
    for the run. cpus, gpus: that each process gets; by default an equal share of this machine, or one CPU of a cluster,
    and one GPU where the cluster has any. failures: how often the run goes on by itself, from its last state, after a
    worker was killed. seconds: to wait for the cluster and for its workers.
    """

    requires = {"ray": "ray[train]>=2.60,<2.61"}  # noqa: RUF012

    @checked
    def __init__(
        self,
        address: str | None = None,
        cpus: Positive | None = None,
        gpus: NonNegative | None = None,
        failures: Annotated[int, Limit(0, 1000)] = 0,
        seconds: Annotated[int, Limit(1)] = 120,
    ) -> None:
        self.address, self.cpus, self.gpus = address, cpus, gpus
        self.failures, self.seconds = failures, seconds

    def run(self, job: Job) -> int:
        os.environ.update(ENVIRONMENT | {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(self.seconds)})
        with self._cluster(), _stops() as stops:
            resources = self._resources(job)
            for number in range(self.failures + 1):
                outcome = _Try(job, resources, stops, self.seconds).outcome()
                again = outcome.killed and number < self.failures and not stops
                if outcome.message:
                    lines = outcome.message.splitlines()
                    more = f"It goes on from the last state ({number + 1} of {self.failures} failures)."
                    _tell("\n".join([lines[0], f"  {more}"]) if again else outcome.message)
                if not again:
                    return outcome.code
        raise AssertionError

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[None]:
        """Ray on this machine, or the cluster. Raises: RunError."""
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "namespace": secrets.token_hex(8)}
        if self.address is None:
            options |= {"address": "local", "include_dashboard": False, "object_store_memory": STORE}
        else:
            self._check_address(self.address)
            options["address"] = self.address
        try:
            ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            where = "on this machine" if self.address is None else f"at {self.address}"
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise RunError(f"cannot start a run by Ray {where}: {reason}") from error
        try:
            yield
        finally:
            ray.shutdown()

    def _check_address(self, address: str) -> None:
        """Raises: RunError if nobody answers there; ZooError if it is no address."""
        if address == "auto":
            return
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or "/" in host:
            raise ZooError(f"launch.address: must be HOST:PORT of a Ray cluster, or auto, got '{address}'.")
        try:
            socket.create_connection((host, int(port)), timeout=self.seconds).close()
        except (OSError, OverflowError) as error:
            raise RunError(
                f"no Ray cluster answers at {address}: {error}.\n"
                "  `ray start --head --port PORT` starts one there; --launch.seconds is the time to wait.\n"
                "  Without --launch.address, Ray is started on this machine."
            ) from error

    def _resources(self, job: Job) -> dict[str, float]:
        """What each process gets. Raises: RunError where the cluster can never give it."""
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
        share = max(1.0, most // job.devices) if self.address is None else 1.0
        has_gpus = any(node.get("GPU") for node in nodes)
        each = {"CPU": float(self.cpus or share), "GPU": float(has_gpus if self.gpus is None else self.gpus)}
        for name, count in each.items():
            needed = count * job.devices
            able = sum(node.get(name, 0.0) >= needed for node in nodes)
            if able < job.nodes:
                there = max((node.get(name, 0.0) for node in nodes), default=0.0)
                raise RunError(
                    f"the run asks for more than the cluster has: {job.nodes} machines with {needed:g} {name}s each, "
                    f"and {able} of {len(nodes)} have so many; the largest has {there:g}.\n"
                    f"  {job.devices} processes on a machine have {count:g} each: --devices, --launch.{name.lower()}s."
                )
        return {name: count for name, count in each.items() if count}


class _Try:
    """The processes of a run, from their start to their end."""

    def __init__(self, job: Job, resources: dict[str, float], stops: list[int], seconds: int) -> None:
        import ray
        from rnnzoo_ray_worker import Relay

        self.job, self.stops, self.seconds = job, stops, seconds
        self.size = job.nodes * job.devices
        self._relay: Any = ray.remote(num_cpus=0)(Relay).options(max_concurrency=2 * self.size + 4).remote()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._fit, args=(resources,), daemon=True)

    def _fit(self, resources: dict[str, float]) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer
        from rnnzoo_ray_worker import work

        columns = os.get_terminal_size().columns if sys.stdout.isatty() else 80
        settings = {
            "relay": self._relay,
            "words": self.job.words,
            "folder": str(self.job.folder),
            "devices": self.job.devices,
            "environment": {"COLUMNS": str(columns)} if sys.stdout.isatty() else {},
            "terminals": (sys.stdout.isatty(), sys.stderr.isatty()),
        }
        backend = "cpu:gloo,cuda:nccl" if resources.get("GPU") else "gloo"
        never: dict[str, Any] = {"max_failures": 0, "controller_failure_limit": 0}  # `failures` are counted here
        spread = "STRICT_PACK" if self.job.nodes == 1 else "STRICT_SPREAD" if self.job.devices == 1 else "PACK"
        try:
            with tempfile.TemporaryDirectory(prefix="rnnzoo-ray-") as place:  # Ray's own notes; checkpoints are ours
                TorchTrainer(
                    work,
                    train_loop_config=settings,
                    torch_config=TorchConfig(backend=backend),
                    scaling_config=ScalingConfig(
                        num_workers=self.size,
                        use_gpu="GPU" in resources,
                        resources_per_worker=resources,
                        placement_strategy=spread,
                    ),
                    run_config=RunConfig(
                        name=self.job.name,
                        storage_path=place,
                        failure_config=FailureConfig(**never),
                    ),
                ).fit()
        except BaseException as error:  # whatever it is, it is the end of the try, and told by the main thread
            self._error = error

    def outcome(self) -> Outcome:
        """Start the processes, print what the first one prints, and wait for their end."""
        import ray
        from rnnzoo_ray_worker import Answer

        self._thread.start()
        answer = Answer([], {}, {}, {})
        asked = False
        deadline = float("inf")
        while self._thread.is_alive() and len(answer.ended) < self.size and time.monotonic() < deadline:
            answer = self._read(answer)
            if self.stops and not asked:
                asked = True
                self._relay.stop.remote(self.stops[0])
            unheard = len(answer.heard) == len(answer.hosts) and not any(answer.heard.values())
            if asked and unheard:  # nothing is trained yet, or no more
                return Outcome(128 + self.stops[0], "stopped.")
            if any(code for code, _ in answer.ended.values()):
                deadline = min(deadline, time.monotonic() + PATIENCE)
        self._thread.join(timeout=PATIENCE)
        with contextlib.suppress(ray.exceptions.RayError):
            answer = self._read(answer)
        return self._judged(answer)

    def _read(self, before: Any) -> Any:
        """What has come from the workers; what the first one has printed is printed."""
        import ray

        question = self._relay.read.remote()
        while not ray.wait([question], timeout=0.2)[0]:
            if not self._thread.is_alive() and self._error is not None:
                break
        answer = ray.get(question, timeout=5)
        for number, text in answer.output:
            stream = sys.stdout if number == 1 else sys.stderr
            stream.write(text)
            stream.flush()
        return answer

    def _judged(self, answer: Any) -> Outcome:
        """The exit code and the message of the try, from what its processes said at their ends."""
        failed = {rank: end for rank, end in sorted(answer.ended.items()) if end[0]}
        dead = [rank for rank in self._errors() if rank not in answer.ended]
        crashed = [error for rank, error in self._errors().items() if rank in dead and _traceback(error)]
        if crashed:
            return Outcome(1, _traceback(crashed[0]))
        if dead:
            rank = dead[0]
            host = answer.hosts.get(rank, "its machine")
            return Outcome(
                KILLED,
                f"process {rank} of {self.size} on {host} was killed, and the others with it.\n"
                "  The system does so where memory runs out.\n"
                f"  Go on from the last state: --resume auto --run_dir {self.job.run_dir}",
                killed=True,
            )
        if failed:
            return Outcome(*next(iter(failed.values())))
        if self._error is not None:
            line = next((line for line in reversed(str(self._error).splitlines()) if line.strip()), "")
            raise RunError(
                f"Ray could not start the {self.size} processes within {self.seconds} seconds, or lost them.\n"
                f"  {type(self._error).__name__}: {line.strip()[:200]}\n"
                "  Where the cluster is busy, wait longer: --launch.seconds."
            ) from self._error
        return Outcome(0, "")

    def _errors(self) -> dict[int, BaseException]:
        """By rank, what Ray says went wrong in it."""
        return dict(getattr(self._error, "worker_failures", None) or {})


def _traceback(error: BaseException) -> str:
    """Of an error of a worker's own; "" where the worker is gone."""
    return str(getattr(error, "_traceback_str", ""))


@contextlib.contextmanager
def _stops() -> Iterator[list[int]]:
    """Within the block, the numbers of the signals that ask to stop; the second one ends this process at once."""
    stops: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: object) -> None:
        stops.append(number)
        for each in before:
            signal.signal(each, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for name in STOPS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, note)
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _tell(message: str) -> None:
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
