"""kit's pipeline as events in time: one machine exactly, a cluster shard by shard.

`run` follows `kit.features.engine_local`: decoders, buffers, device lanes, one loop, shards, one
writer. `shard_seconds` follows an actor of `kit.features.engine_ray` through one shard, and
`cluster` deals shards out to many of them. Cores are shared evenly among the threads that want
one. No time is read from a clock: the same numbers in give the same numbers out.
"""

import heapq
import math
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Then = Callable[[], None]


@dataclass(frozen=True)
class Machine:
    """One machine, how kit is set up on it, and how long things take there.

    Attributes:
        cores: of the machine.
        elsewhere: cores that other programs take, on average.
        workers: decoders.
        lanes: device batches side by side.
        batch: clips of a device batch.
        in_flight: device batches begun at a time.
        buffers: clips in memory; kit's own rule if None.
        shard_tracks: rows of a shard.
        most_open: shards in memory.
        speeds: of a core with 1, 2, … of them busy, of one busy alone; the last holds for more.
        device_s: CPU seconds a clip in a device thread.
        transfer_s: seconds a clip to and from an accelerator; no core is busy.
        accelerator_s: seconds a clip on the accelerator, one batch after another.
        put_s: CPU seconds of the loop to copy a clip's rows into its shard.
        open_s: CPU seconds of the loop to begin a shard in new memory.
        open_again_s: the same in memory that was used before.
        write_s: CPU seconds a track to write a shard.
        write_threads: side by side, those seconds.
        sync_s: seconds a track that writing waits for the disk.
        timeout_s: time limit of a file.
        look_s: the loop looks for hanging decoders so often.
        flush_s: unfinished shards are written every so often.
        fixed_s: of a whole run, whatever its size.
    """

    cores: int = 2
    elsewhere: float = 0.0
    workers: int = 2
    lanes: int = 2
    batch: int = 1
    in_flight: int = 4
    buffers: int | None = None
    shard_tracks: int = 64
    most_open: int = 3
    speeds: tuple[float, ...] = (1.0,)
    device_s: float = 0.011
    transfer_s: float = 0.0
    accelerator_s: float = 0.0
    put_s: float = 0.0
    open_s: float = 0.0
    open_again_s: float = 0.0
    write_s: float = 0.0
    write_threads: int = 1
    sync_s: float = 0.0
    timeout_s: float = 60.0
    look_s: float = 0.5
    flush_s: float = 60.0
    fixed_s: float = 0.0

    @property
    def room(self) -> int:
        """Clips in memory at once."""
        return self.buffers or self.workers + 2 + self.batch * (self.in_flight + 1)


@dataclass(frozen=True)
class Outcome:
    """What a simulated run comes to.

    Attributes:
        seconds: from beginning to end.
        done: tracks with features.
        failed: tracks given up.
        written: rows that reached the disk in whole shards, those without features too.
        busy: the share of the time that each stage was busy.
        cpu_s: core seconds, at the pace of a core that is busy alone or not.
    """

    seconds: float
    done: int
    failed: int
    written: int
    busy: dict[str, float]
    cpu_s: float

    @property
    def rate(self) -> float:
        """Tracks a second."""
        return (self.done + self.failed) / self.seconds

    @property
    def bottleneck(self) -> str:
        """The stage that is busy most; of two that are equally so, the first."""
        return max(self.busy, key=lambda stage: round(self.busy[stage], 2))


class Clock:
    """Events in time, and cores that are shared evenly among those that compute."""

    def __init__(self, cores: float, speeds: Sequence[float] = (1.0,)) -> None:
        self._cores = cores
        self._speeds = speeds
        self.now = 0.0
        self.core_seconds = 0.0
        # What a thread that has computed all along would have done: jobs end at such a mark.
        self._mark = 0.0
        self._jobs: list[tuple[float, int, Then]] = []
        self._timers: list[tuple[float, int, Then]] = []
        self._count = 0

    def compute(self, seconds: float, then: Then) -> None:
        """So many seconds of a core that is busy alone, in one thread."""
        self._count += 1
        heapq.heappush(self._jobs, (self._mark + seconds, self._count, then))

    def wait(self, seconds: float, then: Then) -> None:
        """So many seconds without a core."""
        self._count += 1
        heapq.heappush(self._timers, (self.now + seconds, self._count, then))

    def run(self) -> float:
        """All events there are, to the end; its time."""
        while self._jobs or self._timers:
            busy = min(len(self._jobs), self._cores)
            pace, until = 0.0, math.inf
            if busy:
                speed = self._speeds[min(math.ceil(busy), len(self._speeds)) - 1]
                pace = speed * busy / len(self._jobs)
                until = self.now + max(0.0, self._jobs[0][0] - self._mark) / pace
            computed = not self._timers or until <= self._timers[0][0]
            at = until if computed else self._timers[0][0]
            self.core_seconds += busy * (at - self.now)
            if computed:
                self._mark, _, then = heapq.heappop(self._jobs)
            else:
                self._mark += pace * (at - self.now)
                _, _, then = heapq.heappop(self._timers)
            self.now = at
            then()
        return self.now


class _Stage:
    """Threads that take jobs in turn; and how long they were busy."""

    def __init__(self, clock: Clock, count: int) -> None:
        self._clock = clock
        self.free = self.count = count
        self.busy_s = 0.0
        self._waiting: deque[Callable[[Then], None]] = deque()

    def add(self, job: Callable[[Then], None]) -> None:
        self._waiting.append(job)
        self._next()

    def _next(self) -> None:
        while self.free and self._waiting:
            self.free -= 1
            began = self._clock.now
            self._waiting.popleft()(lambda began=began: self.end(began))

    def end(self, began: float) -> None:
        self.busy_s += self._clock.now - began
        self.free += 1
        self._next()

    def share(self, seconds: float) -> float:
        return self.busy_s / (self.count * seconds) if seconds else 0.0


def run(machine: Machine, decode_s: Sequence[float], wait_s: Sequence[float] = ()) -> Outcome:
    """A whole run of `kit.features.engine_local`.

    Args:
        machine: everything but the tracks.
        decode_s: CPU seconds of each track; infinite for one that hangs.
        wait_s: seconds that each waits for its bytes before that; none if empty.
    """
    return _Run(machine, decode_s, wait_s).outcome()


class _Run:
    def __init__(
        self, machine: Machine, decode_s: Sequence[float], wait_s: Sequence[float]
    ) -> None:
        self.m = machine
        self.decode_s, self.wait_s = decode_s, wait_s
        self.clock = Clock(machine.cores - machine.elsewhere, machine.speeds)
        self.todo = deque(range(len(decode_s)))
        self.buffers = min(machine.room, len(decode_s))
        self.decoders = _Stage(self.clock, machine.workers)
        self.device = _Stage(self.clock, machine.lanes)
        self.accelerator = _Stage(self.clock, 1)
        self.writer = _Stage(self.clock, 1)
        self.messages: deque[Then] = deque()
        self.loop_busy = False
        self.loop_s = self.owed = 0.0
        self.hanging: dict[int, tuple[float, Then]] = {}
        self.looking = False
        self.ready: list[int] = []
        self.held: list[int] = []
        self.decoding = self.computing = 0
        self.missing = defaultdict(int)
        for track in self.todo:
            self.missing[track // machine.shard_tracks] += 1
        self.open: dict[int, int] = {}
        self.unsaved: set[int] = set()
        self.writing = self.spare = 0
        self.flushed = 0.0
        self.done = self.failed = self.written = 0

    def outcome(self) -> Outcome:
        # What `_Run.to_end` does before it first waits for a message.
        self._say(lambda: None)
        seconds = self.clock.run() + self.m.fixed_s
        of = max(seconds, 1e-12)
        busy = {
            "cores": self.clock.core_seconds / (self.m.cores * of),
            "decoders": self.decoders.share(of),
            "device": self.device.share(of),
            "accelerator": self.accelerator.share(of),
            "writer": self.writer.share(of),
            "loop": self.loop_s / of,
        }
        return Outcome(seconds, self.done, self.failed, self.written, busy, self.clock.core_seconds)

    # The loop: a message, then what every stage can take, each in the loop's own time.

    def _say(self, message: Then) -> None:
        self.messages.append(message)
        self._take()

    def _take(self) -> None:
        if self.loop_busy or not self.messages:
            return
        self.loop_busy = True
        self.messages.popleft()()
        self._pay(self._fed)

    def _fed(self) -> None:
        self._feed()
        if self.clock.now - self.flushed > self.m.flush_s:
            self._flush()
            self.flushed = self.clock.now
        self._pay(self._free)

    def _free(self) -> None:
        self.loop_busy = False
        if not (self.todo or self.decoding or self.ready or self.computing or self.held):
            self._flush()
        self._take()

    def _pay(self, then: Then) -> None:
        owed, self.owed = self.owed, 0.0
        began = self.clock.now

        def paid() -> None:
            self.loop_s += self.clock.now - began
            then()

        self.clock.compute(owed, paid)

    def _feed(self) -> None:
        held, self.held = self.held, []
        for track in held:
            self._row(track)
        while self.todo and self.buffers:
            self.buffers -= 1
            self.decoding += 1
            self._decode(self.todo.popleft())
        size = self.m.batch
        if self.computing >= self.m.in_flight or (len(self.ready) < size and self.decoding):
            return
        fit = [track for track in self.ready if self._has_room(track)]
        waiting = [track for track in self.ready if not self._has_room(track)]
        while fit and self.computing < self.m.in_flight and (len(fit) >= size or not self.decoding):
            group, fit = fit[:size], fit[size:]
            self._compute(group)
        self.ready = [*waiting, *fit]

    # Decoders.

    def _decode(self, track: int) -> None:
        def job(end: Then) -> None:
            if math.isinf(self.decode_s[track]):
                self.hanging[track] = (self.clock.now, end)
                self._look_later()
                return

            def decoded() -> None:
                self._say(lambda: self._decoded(track))
                end()

            def compute() -> None:
                self.clock.compute(self.decode_s[track], decoded)

            wait = self.wait_s[track] if len(self.wait_s) else 0.0
            if wait:
                self.clock.wait(wait, compute)
            else:
                compute()

        self.decoders.add(job)

    def _decoded(self, track: int) -> None:
        self.decoding -= 1
        self.ready.append(track)

    def _look_later(self) -> None:
        if self.looking or not self.hanging:
            return
        self.looking = True

        def look() -> None:
            self.looking = False
            for track, (since, end) in list(self.hanging.items()):
                if self.clock.now - since > self.m.timeout_s:
                    del self.hanging[track]
                    end()
                    self._say(lambda track=track: self._given_up(track))
            self._look_later()

        self.clock.wait(self.m.look_s, look)

    def _given_up(self, track: int) -> None:
        self.decoding -= 1
        self.buffers += 1
        self.failed += 1
        self._row(track)

    # The device.

    def _compute(self, group: list[int]) -> None:
        self.computing += 1
        m = self.m
        # A batch that is not full takes as long on an accelerator: its shape is the same.
        size = m.batch

        def job(end: Then) -> None:
            def done() -> None:
                self._say(lambda: self._computed(group))
                end()

            def on_it(leave: Then) -> None:
                self.clock.wait(m.accelerator_s * size, lambda: (leave(), done()))

            def there() -> None:
                if m.accelerator_s:
                    self.accelerator.add(on_it)
                else:
                    done()

            def moved() -> None:
                if m.transfer_s:
                    self.clock.wait(m.transfer_s * size, there)
                else:
                    there()

            self.clock.compute(m.device_s * size, moved)

        self.device.add(job)

    def _computed(self, group: list[int]) -> None:
        self.computing -= 1
        for track in group:
            self.buffers += 1
            self.done += 1
            self._row(track)

    # Shards and the writer.

    def _has_room(self, track: int) -> bool:
        number = track // self.m.shard_tracks
        return number in self.open or len(self.open) + self.writing < self.m.most_open

    def _row(self, track: int) -> None:
        if self._has_room(track):
            self._put(track)
        else:
            self.held.append(track)

    def _put(self, track: int) -> None:
        number = track // self.m.shard_tracks
        if number not in self.open:
            self.owed += self.m.open_again_s if self.spare else self.m.open_s
            self.spare = max(0, self.spare - 1)
            self.open[number] = 0
        self.owed += self.m.put_s
        self.open[number] += 1
        self.unsaved.add(number)
        self.missing[number] -= 1
        if not self.missing[number]:
            self.unsaved.discard(number)
            self._write(self.open.pop(number), last=True)

    def _flush(self) -> None:
        for number in sorted(self.unsaved):
            self._write(self.open[number], last=False)
        self.unsaved.clear()

    def _write(self, rows: int, *, last: bool) -> None:
        self.writing += 1

        def job(end: Then) -> None:
            def synced() -> None:
                self.writing -= 1
                self.spare += last
                self.written += rows if last else 0
                end()
                self._say(lambda: None)

            write_shard(self.clock, self.m, rows, synced)

        self.writer.add(job)


def write_shard(clock: Clock, machine: Machine, rows: int, then: Then) -> None:
    """Compress in some threads, then wait for the disk."""
    threads = machine.write_threads
    left = [threads]

    def compressed() -> None:
        left[0] -= 1
        if not left[0]:
            clock.wait(machine.sync_s * rows, then)

    for _ in range(threads):
        clock.compute(machine.write_s * rows / threads, compressed)


def shard_seconds(
    machine: Machine,
    decode_s: Sequence[float],
    *,
    group: int = 4,
    task_s: float = 0.0,
    wait_s: float = 0.0,
) -> Outcome:
    """One shard by an actor of `kit.features.engine_ray` that has all cores of its machine.

    Decode tasks of a group of files run on every core, twice as many begun as there are cores; the
    actor takes their answers in order, computes what fills its lanes, and writes at the end.

    Args:
        machine: its `workers`, `in_flight` and `buffers` are not used.
        decode_s: CPU seconds of each track of the shard.
        group: files a task.
        task_s: CPU seconds a task besides.
        wait_s: seconds that each file is waited for; its task holds a core meanwhile.
    """
    clock = Clock(machine.cores, machine.speeds)
    tasks = _Stage(clock, machine.cores)
    rest = deque(decode_s[at : at + group] for at in range(0, len(decode_s), group))
    ahead = max(2, 2 * machine.cores)
    under_way: deque[dict[str, int]] = deque()
    waiting = done = 0
    device_s = 0.0
    actor_busy = False
    most = machine.batch * machine.lanes

    def begin() -> None:
        while rest and len(under_way) < ahead:
            files = rest.popleft()
            state = {"files": len(files), "done": 0}
            under_way.append(state)

            def job(end: Then, files: Sequence[float] = files, state: dict = state) -> None:
                def answered() -> None:
                    state["done"] = 1
                    end()
                    take()

                def compute_all(seconds: float = sum(files) + task_s) -> None:
                    clock.compute(seconds, answered)

                clock.wait(wait_s * len(files), compute_all)

            tasks.add(job)

    def take() -> None:
        nonlocal actor_busy, waiting
        while not actor_busy and under_way and under_way[0]["done"]:
            waiting += under_way.popleft()["files"]
            begin()
            if waiting >= most:
                compute(most)
        if not actor_busy and not under_way and not rest:
            if waiting:
                compute(min(waiting, most))
            elif done == len(decode_s):
                actor_busy = True
                write_shard(clock, machine, done, lambda: None)

    def compute(count: int) -> None:
        nonlocal actor_busy, waiting
        actor_busy = True
        waiting -= count
        batches = math.ceil(count / machine.batch)
        left = [batches]
        began = clock.now

        def one_done() -> None:
            nonlocal actor_busy, done, device_s
            left[0] -= 1
            if left[0]:
                return
            device_s += clock.now - began
            done += count
            actor_busy = False
            if waiting >= most:
                compute(most)
            else:
                take()

        # Of an accelerator's batches one is on its way while another one is computed.
        waits = machine.batch * (
            machine.transfer_s + machine.accelerator_s * (batches if machine.accelerator_s else 1)
        )
        for _ in range(batches):
            seconds = (machine.device_s + machine.put_s) * machine.batch
            clock.compute(seconds, lambda: clock.wait(waits, one_done))

    clock.compute(machine.open_again_s, begin)
    seconds = clock.run()
    busy = {"cores": clock.core_seconds / (machine.cores * max(seconds, 1e-12))}
    busy["decoders"] = tasks.share(seconds)
    busy["device"] = device_s / max(seconds, 1e-12)
    return Outcome(seconds, done, 0, done, busy, clock.core_seconds)


@dataclass(frozen=True)
class Cluster:
    """Many machines, and what may go wrong with them.

    Attributes:
        machines: how many.
        shard_s: seconds that a machine of mean speed takes for a shard.
        shard_sd_s: their standard deviation from shard to shard.
        spread: speeds are even between 1 less and 1 more of it.
        slow: share of the machines that have `slow_speed`.
        slow_speed: of a slow machine.
        mtbf_s: mean seconds until a machine fails; its shard is begun anew, elsewhere or there.
        restart_s: until it is back.
        queued: shards that wait at each machine, dealt out before it needs them.
        dispatch_s: of the one driver, to deal out a shard.
    """

    machines: int
    shard_s: float
    shard_sd_s: float = 0.0
    spread: float = 0.0
    slow: float = 0.0
    slow_speed: float = 1 / 3
    mtbf_s: float = math.inf
    restart_s: float = 120.0
    queued: int = 1
    dispatch_s: float = 0.0


def cluster(setup: Cluster, shards: int, seed: int = 0) -> dict[str, float]:
    """Deal out shards until all are done.

    Returns:
        seconds; ideal_s, were the work spread evenly over the speeds that there are, without
        failures; efficiency, of the two; failures; redone shards; done shards.
    """
    rng = np.random.default_rng(seed)
    n = setup.machines
    drawn = rng.uniform(1 - setup.spread, 1 + setup.spread, n)
    drawn[rng.permutation(n)[: round(setup.slow * n)]] = setup.slow_speed
    speeds = drawn.tolist()
    work = np.maximum(
        0.1 * setup.shard_s, rng.normal(setup.shard_s, setup.shard_sd_s, shards)
    ).tolist()
    ideal_s = sum(work) / sum(speeds)
    todo = deque(range(shards))
    fails_at = rng.exponential(setup.mtbf_s, n).tolist() if math.isfinite(setup.mtbf_s) else []
    driver_at = 0.0
    ahead: list[deque[tuple[float, int]]] = [deque() for _ in range(n)]
    at_work: list[int | None] = [None] * n
    idle: set[int] = set()
    failures = redone = done = 0
    end = 0.0
    events: list[tuple[float, int, str]] = []

    def deal(machine: int, now: float) -> None:
        nonlocal driver_at
        while todo and len(ahead[machine]) < setup.queued + (at_work[machine] is None):
            driver_at = max(driver_at, now) + setup.dispatch_s
            ahead[machine].append((driver_at, todo.popleft()))

    def begin(machine: int, now: float) -> None:
        deal(machine, now)
        if not ahead[machine]:
            idle.add(machine)
            return
        there, shard = ahead[machine].popleft()
        at_work[machine] = shard
        until = max(now, there) + work[shard] / speeds[machine]
        if fails_at and fails_at[machine] < until:
            heapq.heappush(events, (max(now, fails_at[machine]), machine, "failed"))
        else:
            heapq.heappush(events, (until, machine, "done"))
        deal(machine, now)

    for machine in range(n):
        begin(machine, 0.0)
    while events:
        now, machine, what = heapq.heappop(events)
        if what == "done":
            done += 1
            end = now
            at_work[machine] = None
            begin(machine, now)
        elif what == "back":
            begin(machine, now)
        else:
            failures += 1
            redone += 1
            todo.append(at_work[machine])
            todo.extend(shard for _, shard in ahead[machine])
            ahead[machine].clear()
            at_work[machine] = None
            fails_at[machine] = now + setup.restart_s + float(rng.exponential(setup.mtbf_s))
            heapq.heappush(events, (now + setup.restart_s, machine, "back"))
            waiting, idle = sorted(idle), set()
            for other in waiting:
                begin(other, now)
    return {
        "seconds": end,
        "ideal_s": ideal_s,
        "efficiency": ideal_s / end,
        "failures": failures,
        "redone": redone,
        "done": done,
    }


def heavy_tailed(
    count: int, mean_s: float, rng: np.random.Generator, *, sigma: float = 1.0
) -> np.ndarray:
    """Seconds of so many files, log-normal about a mean."""
    return mean_s * rng.lognormal(-(sigma**2) / 2, sigma, count)
