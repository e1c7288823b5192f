"""Replicas as Ray actors: on the devices of this machine, or of a cluster that Ray is told of."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cases import Request, Response
from harness.errors import ConfigurationError, MissingDependencyError, UsageError
from harness.protocols import (
    Backend,
    BackendOptions,
    Checkpoint,
    GivesLikelihoods,
    Reconciles,
    TakesArguments,
)

from .chunks import Chunk, cut
from .replica import Replica, ReplicaRefusal

__all__ = ["RayWorkers"]

_DEATHS_PER_CHUNK = 3
"""Workers that may die on a chunk before it is given up: its own prompts may be what kills them."""
_RESTARTS_PER_WORKER = 3
_START_SECONDS = 300.0


@dataclass(eq=False)
class _Worker:
    """An actor and its process."""

    actor: Any
    pid: int


class RayWorkers:
    """A backend that hands chunks of requests to replicas of another one; the engine cannot tell.

    Each replica has one chunk in flight. One that dies is replaced, and its chunk is done by whoever is free:
    answers count when a whole chunk is back, so nothing is lost and nothing counted twice. The others do not
    wait for a replacement, and go on without it where there is no room for it any more.

    Args:
        name: Entry-point name of the backend that the replicas hold.
        backend: The driver's own, which resolves checkpoints and loads no model.
        options: The session's.
        count: Replicas; None for one on each GPU.
    """

    REPLICATES = True

    def __init__(self, name: str, backend: Backend, options: BackendOptions, count: int | None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingDependencyError("ray", extra="ray")
        device = options.arguments.get("device", options.arguments.get(f"{name}.device", "auto"))
        if device.startswith("cuda:"):
            raise ConfigurationError(
                f"-M device={device}: with --workers=ray, Ray chooses the GPU; say device=cuda"
            )
        self._name = name
        self._backend = backend
        self._options = options
        self._count = count
        self._replicas: list[_Worker] = []
        self._starting: dict[Any, Any] = {}
        self._wanted = 0
        self.restarts = 0
        self._working: dict[Any, tuple[_Worker, Chunk]] = {}
        self._started_ray = False
        self._resources: dict[str, float] = {}
        self.ARGUMENTS = backend.ARGUMENTS if isinstance(backend, TakesArguments) else {}
        self.LIKELIHOODS = isinstance(backend, GivesLikelihoods) and backend.LIKELIHOODS

    def resolve(self, name: str, spec: str) -> Checkpoint:
        """Resolve with the driver's own backend."""
        return self._backend.resolve(name, spec)

    def reconcile(self, checkpoints: Sequence[Checkpoint]) -> Mapping[str, str]:
        """Ask the driver's own backend what makes checkpoints be computed alike."""
        return self._backend.reconcile(checkpoints) if isinstance(self._backend, Reconciles) else {}

    def generate(self, checkpoint: Checkpoint, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer every request, chunk by chunk, in the order in which they come back.

        Raises:
            UsageError: A replica cannot use the checkpoint, or there is no device for the replicas.
        """
        import ray

        if not self._replicas and not self._starting:
            self._start(checkpoint.numerics.get("device", "cpu"))
        waiting = cut(requests, self._wanted)
        idle = list(self._replicas)
        busy = self._working = {}
        while waiting or busy:
            while waiting and idle:
                chunk, replica = waiting.popleft(), idle.pop()
                asked = [requests[index] for index in chunk.indices]
                busy[replica.actor.answer.remote(checkpoint, asked)] = (replica, chunk)
            done = _first([*busy, *self._starting], None if busy else _START_SECONDS)
            if done is None:
                for chunk in waiting:
                    yield from _given_up(chunk, f"no worker is left, after {self.restarts} replacements")
                return
            if done in self._starting:
                idle += self._joined(done)
                continue
            replica, chunk = busy.pop(done)
            try:
                answers = ray.get(done)
            except ray.exceptions.RayActorError as error:
                self._replace(replica)
                chunk.deaths += 1
                if chunk.deaths < _DEATHS_PER_CHUNK:
                    waiting.appendleft(chunk)
                else:
                    yield from _given_up(chunk, f"{chunk.deaths} workers died on it: {_first_line(error)}")
                continue
            except ray.exceptions.RayError as error:
                idle.append(replica)
                yield from _given_up(chunk, f"the worker failed: {_first_line(error)}")
                continue
            idle.append(replica)
            if isinstance(answers, ReplicaRefusal):
                raise UsageError(answers.message)
            for place, response in answers:
                yield chunk.indices[place], response

    def pids(self) -> list[int]:
        """Return the process ids of the replicas."""
        return [replica.pid for replica in self._replicas]

    def busy_pids(self) -> list[int]:
        """Return the process ids of the replicas that have a chunk in flight."""
        return [replica.pid for replica, _ in self._working.values()]

    # --- replicas --------------------------------------------------------------------------------------

    def _start(self, device: str) -> None:
        import ray

        if not ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            joins = (
                "RAY_ADDRESS" in os.environ
            )  # else a Ray of our own, whatever runs on this machine already
            with (
                _own_signals(),
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                ray.init(
                    address=None if joins else "local",
                    num_cpus=None if joins else max(self._count or 1, os.cpu_count() or 1),
                    include_dashboard=None if joins else False,
                    log_to_driver=False,
                    logging_level="ERROR",
                )
            self._started_ray = True
        held = ray.cluster_resources()
        on_gpu = device == "cuda"
        devices = int(held.get("GPU", 0)) if on_gpu else 0
        if on_gpu and not devices:
            raise UsageError(f"device {device} was chosen, but Ray sees no GPU; pass -M device=cpu")
        if self._count is None and not devices:
            raise UsageError(
                "--workers=ray: there is no GPU to count; say how many replicas, as in --workers=ray:2"
            )
        count = self._count or devices
        if on_gpu:
            self._resources = {"num_gpus": 1.0 if count <= devices else devices / count, "num_cpus": 0}
        else:  # Ray gives a replica as many threads; they must be there on one host
            largest = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
            share = min(held.get("CPU", count) // count, largest)
            self._resources = {"num_cpus": max(1, int(share))}
        self._wanted = count
        self._replicas = self._made(count)

    def _made(self, count: int) -> list[_Worker]:
        import ray

        actors = [self._actor() for _ in range(count)]
        try:
            pids = ray.get([one.pid.remote() for one in actors], timeout=_START_SECONDS)
        except ray.exceptions.GetTimeoutError:
            raise UsageError(
                f"Ray did not start {count} replicas in {_START_SECONDS:g} s: each needs {self._resources} "
                f"of {ray.available_resources()}; ask for fewer"
            ) from None
        except ray.exceptions.RayError as error:
            raise UsageError(f"a replica does not start: {_first_line(error)}") from error
        return [_Worker(one, pid) for one, pid in zip(actors, pids, strict=True)]

    def _actor(self) -> Any:
        import ray

        settings = {**self._resources, "max_restarts": 0, "max_task_retries": 0}
        actor = ray.remote(**settings, scheduling_strategy="SPREAD")(Replica)
        return actor.remote(self._name, self._options)

    def _replace(self, dead: _Worker) -> None:
        """Start a new replica in the place of a dead one, unless too many have died."""
        import ray

        self._replicas.remove(dead)
        with contextlib.suppress(Exception):
            ray.kill(dead.actor)  # one that is only out of reach must not keep its device
        if self.restarts < _RESTARTS_PER_WORKER * self._wanted:
            self.restarts += 1
            actor = self._actor()
            self._starting[actor.pid.remote()] = actor

    def _joined(self, started: Any) -> list[_Worker]:
        """Return the replica that has started; none where it died on the way."""
        import ray

        actor = self._starting.pop(started)
        try:
            worker = _Worker(actor, ray.get(started))
        except ray.exceptions.RayError:
            return []
        self._replicas.append(worker)
        return [worker]

    def close(self) -> None:
        """End the replicas, and Ray where it was started here."""
        if self._replicas or self._starting or self._started_ray:
            import ray

            for actor in [*(replica.actor for replica in self._replicas), *self._starting.values()]:
                with contextlib.suppress(Exception):  # one that has died already
                    ray.kill(actor)
            self._replicas = []
            self._starting = {}
            if self._started_ray:
                ray.shutdown()
                self._started_ray = False
        self._backend.close()


def _first(pending: Sequence[Any], timeout: float | None) -> Any | None:
    """Return the first of these to be ready; None when there is nothing to wait for, or it takes too long."""
    import ray

    ready = ray.wait(list(pending), timeout=timeout)[0] if pending else []
    return ready[0] if ready else None


def _given_up(chunk: Chunk, why: str) -> Iterator[tuple[int, Response]]:
    for index in chunk.indices:
        yield index, Response("", "error", detail=why)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = getattr(error, "cause", None)
    if cause is not None:
        return f"{type(cause).__name__}: {cause}".splitlines()[0]
    return lines[0] if lines else type(error).__name__


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the session's handler of SIGTERM: Ray would put its own there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
