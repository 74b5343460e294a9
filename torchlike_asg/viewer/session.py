"""One viewer's work beside the training: it takes what the tap heard, makes messages of it, and answers the window. One thread.

It does so ten times a second, or less often while that would take more than its share of the processor time that the process gets.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from ..asg.node import Node
from . import failure as failures
from . import hunt
from .capture import Step, capture, kernels
from .findings import Findings, code_of
from .joined import joined
from .kept import LARGE, Kept
from .leaves import held, infos, pending
from .points import Points
from .probe import Governor, Pace, Probe
from .protocol import Alarm, Ask, Bye, Code, Event, Graph, Hello, Message, Subscribe
from .publisher import Publisher
from .remote import fetched
from .snapshot import GraphSnapshot
from .taps import Tap

#: seconds between looks at what is on screen, at least: with a node selected, and without; and between timings of kernels
LOOK, GLANCE, CLOCK = 0.2, 1.0, 1.0
#: seconds without a step after which what runs is looked at without waiting for one
IDLE = 1.0
#: looks that are taken again where they did not see all that the user selected
TRIES = 3
#: seconds that hearing a step takes, the share of the time that may go to it, and of how many steps one is heard then. (All odd: where
#: two optimizers take turns, both are heard.)
HEARING, HEARD, THINNED = 4e-6, 0.004, (1, 3, 5, 7, 11, 15, 23, 31, 47)
#: the same for values on another device, where a look takes its time, too: at least, and in steps; and nodes of one look
FAR, PAUSES, FEW = 1.0, 50, 24
#: seconds between copies of what a step reads, at least, and the share of the time that they may take
KEEP, KEPT = 0.5, 0.001
#: the share of the time that hunts after the first may take
HUNTING = 0.005
#: graphs of one run that are sent, at most
MOST_GRAPHS = 32
#: looks after which a graph that only has other shapes is shown, and how many of these are known
PATIENCE, SIZES = 5, 8


class Session(threading.Thread):
    """Runs until `finish`."""

    def __init__(self, model: Any, tap: Tap, hello: Hello, say: Callable[[str, dict[str, Any]], None], record: Any, window: bool) -> None:
        super().__init__(name="asg-viewer", daemon=True)
        self.tap = tap
        self._window, self._say = window, say
        #: what went wrong in this thread first
        self.trouble = ""
        self._model = weakref.ref(model) if model is not None else lambda: None
        self._root = type(model).__name__ if model is not None else ""
        self.publisher = Publisher(hello, self._hear, say, record)
        self._ending, self._wake = threading.Event(), threading.Event()
        self.ended = threading.Event()
        self.logged: deque[Message] = deque()
        self._governor = Governor()
        self._subscribed: Subscribe | None = None
        self._fresh_selection = self._asked_for = self._deep = False
        self._tries = 0
        self._costs = {"value": 0.005, "gradient": 0.02}  # seconds that a look takes
        self._asked: deque[Ask] = deque()
        #: a graph to show before anything has run;  events to set after the next tick
        self.first: Step | None = None
        self.asked: deque[threading.Event] = deque()
        # the current graph
        self.epoch = 0
        self._nodes: list[Node] = []
        self._ran: list[Node] = []  # as they are in plans
        self._snapshot = GraphSnapshot()
        self._structure: Any = None
        self._key: tuple[int, ...] = ()
        self._shown: Step | None = None
        self._sizes: dict[tuple[int, ...], Step] = {}  # the same graph with other shapes, by the keys of the tap
        self._patience = self._followed = 0
        self._kernels: list[Any] = []
        self._parameters: list[tuple[int, Node]] = []
        self._trained = False
        # probes
        self._probe: Probe | None = None
        self._looked = self._timed = self._summed = 0.0
        self._turn = self._steps = self._looked_at = 0
        self._ticked = self._step = 0.0  # processor time of the last tick; seconds of a step
        self._stepped = time.perf_counter()
        self._remote = False  # whether the graph lies on another device
        self._hunted = False
        self._kept: deque[Kept] = deque(maxlen=2)  # from where a hunt could begin
        self._kept_at = 0.0
        self._hunt_again = 0.0  # when, by `time.monotonic`
        self._roots: OrderedDict[Node, tuple[Step, tuple[int, ...]]] = OrderedDict()  # the steps that losses belong to
        self._updates: list[tuple[Node, Node]] = []  # (leaf, its next content) of the graph
        self._bytes = 0  # of all storages in it
        self._points = Points(tap)
        self._findings = Findings(self.publisher, self._governor.share, tap.begun)

    # ---------------------------------------------------------------- the thread
    def run(self) -> None:
        if self._window:
            starter = threading.Thread(target=self.publisher.start, name="asg-viewer-start", daemon=True)
            starter.start()
        else:
            self.publisher.closed.set()
        pace = Pace()
        while not self._ending.is_set():
            pause = pace.pause()
            self._wake.wait(pace.shortest if self._asked_for and self._probe is not None else pause)  # somebody waits for it
            self._wake.clear()
            self._safely()
            self.publisher.flush()
        self._safely()
        until = time.monotonic() + 15.0
        if self._window:
            starter.join(15.0)
        while self.publisher.pending and time.monotonic() < until:
            self.publisher.flush()
            time.sleep(0.02)
        self.publisher.finish()
        self.ended.set()

    def finish(self, reason: str, timeout: float) -> None:
        """Send what there is, and stop."""
        self.logged.append(Bye(reason))
        self._ending.set()
        self._wake.set()
        if threading.current_thread() is not self:
            self.ended.wait(timeout)

    def _safely(self) -> None:
        """A tick; what goes wrong in it is said once, and is no trouble of the training's."""
        try:
            self.tick()
        except Exception as error:
            if not self.trouble:
                self.trouble = f"{type(error).__name__}: {error}"
                self._say("trouble", {"reason": self.trouble})

    def tick(self) -> None:
        """Everything that is due; then whoever asked before it is told."""
        waiting = [self.asked.popleft() for _ in range(len(self.asked))]
        try:
            self._everything()
        finally:
            for event in waiting:
                event.set()

    def _everything(self) -> None:
        if self.first is not None:
            first, self.first = self.first, None
            self.show(first)
        self._graphs()
        self._collect()
        self._curves()
        self._failures()
        self._findings.arrived(self.tap.steps)
        self._answer()
        while self.logged:
            self.publisher.post(self.logged.popleft())
        self._plan_probe()
        self._listen()

    # ---------------------------------------------------------------- curves
    def _curves(self) -> None:
        tap = self.tap
        if tap.log.dropped:
            self.publisher.post(Event(tap.steps, 0.0, f"dropped:{tap.log.dropped}"))
            tap.log.dropped = 0
        for curve in self._points.take():
            self.publisher.post(curve)
        if self._points.bad and not self._hunted:
            self._hunted = True
            self.publisher.post(Alarm(self.epoch, self._points.bad, -1, "loss"))
            self.publisher.flush()
            self._hunt(self._points.bad)
        elif self._points.well and not self._points.bad:
            self._hunted, tap.log.suspect = False, None

    def _hunt(self, step: int) -> None:
        """Find the first bad value of the step, and say so."""
        begun = time.thread_time()
        if time.monotonic() < self._hunt_again:
            return
        until = time.monotonic() + hunt.LIMIT
        suspect = self.tap.log.suspect
        bound = dict(suspect.data) if suspect is not None else {}
        if suspect is not None and suspect.root in self._roots and (self._shown is None or suspect.root not in self._shown.losses):
            self.show(*self._roots[suspect.root])
        kept = None
        for candidate in reversed(self._kept):
            for leaves in (candidate.state, candidate.bound):
                leaves.update({n: fetched(a, until) for n, a in leaves.items()})
            if hunt.finite(candidate):
                kept = candidate
                break
        self._kept.clear()
        bound = {n: fetched(a, until) for n, a in bound.items()}
        found = hunt.Hunt(self._nodes, self._snapshot, self._updates).run(kept, bound, lambda n: fetched(held(n), until))
        if found is not None:
            self.publisher.post(Alarm(self.epoch, step, found.node, found.what, found.bad, found.size))
        self._hunt_again = time.monotonic() + (time.thread_time() - begun) / HUNTING

    # ---------------------------------------------------------------- graphs
    def _graphs(self) -> None:
        tap = self.tap
        if not tap.steps and tap._ran:
            tap.fresh_plans()
        while tap.fresh:
            traces, key = tap.fresh.popleft()
            step = joined(traces)
            whole = bool(step.losses and step.updates)
            if self._trained and not whole:
                continue  # an evaluation between steps
            self._trained |= whole
            for root in step.losses:
                self._roots[root] = step, key
                self._roots.move_to_end(root)
            while len(self._roots) > SIZES:
                self._roots.popitem(last=False)
            self.show(step, key)
        self._follow()

    def _follow(self) -> None:
        """If training goes on with another size of batches, show it with that. (The last batch of an epoch is often smaller; that alone is
        no reason.)"""
        tap = self.tap
        if tap.looks == self._followed:
            return  # steps whose plans nobody saw say nothing of their size
        self._followed = tap.looks
        self._patience = self._patience + 1 if tap.key in self._sizes else 0
        if self._patience >= PATIENCE:
            self._patience = 0
            step = self._sizes.pop(tap.key)
            if self._shown is not None:
                self._sizes[self._key] = self._shown
            self._structure = None
            self.show(step, tap.key)

    def show(self, step: Step, key: tuple[int, ...] = ()) -> None:
        """Send a graph, unless it looks like the last one; from now on it is the one that is probed. `key`: see `Tap`."""
        snapshot, nodes = capture(step, infos(self._model()), self._root)
        structure = _structure(snapshot)
        old, same = self._snapshot, structure == self._structure
        if same and snapshot.dims.tobytes() != old.dims.tobytes():
            self._sizes[key] = step  # it waits for its turn
            while len(self._sizes) > SIZES:
                del self._sizes[next(iter(self._sizes))]
            return
        same = same and snapshot.kernel_name == old.kernel_name and snapshot.kernel.tobytes() == old.kernel.tobytes()
        if not same and self.epoch >= MOST_GRAPHS:
            return
        self._key, self._shown = key, step
        self._kernels = [call for call, *_ in kernels(step.plans)]
        self._nodes, self._updates = nodes, list(step.updates)
        self._ran = [step.originals.get(n, n) for n in nodes]
        self._bytes = sum(int(snapshot.nbytes[i]) for i, n in enumerate(nodes) if n.op.name == "var")
        self._remote = any(n.device.type != "cpu" for n in nodes)
        self._parameters = [(i, n) for i, n in enumerate(nodes) if n.op.name == "var" and n.rg and snapshot.phase[i] == 0]
        if not same:
            self._structure, self._snapshot = structure, snapshot
            self.epoch += 1
            self._subscribed = None
            self.publisher.post(Graph(self.epoch, snapshot.columns()))
        self._findings.begin(self.epoch, self._kernels)

    def _failures(self) -> None:
        while self.tap.failures:
            error, (modules, tr) = self.tap.failures.popleft()
            message, step, operands = failures.explain(error, modules, tr)
            if step is not None:
                step.leaves = pending(self._model())
                snapshot, index = failures.partial(step, infos(self._model()), self._root)
                snapshot = failures.with_failed(snapshot, message, index, operands)
                self.epoch += 1
                message.epoch = self.epoch
                self.publisher.post(Graph(self.epoch, snapshot.columns()))
            self.publisher.post(message)

    # ---------------------------------------------------------------- what the window says
    def _hear(self, message: Message) -> None:
        if isinstance(message, Subscribe):
            old = self._subscribed
            if old is None or old.selected.tolist() != message.selected.tolist():
                self._fresh_selection, self._tries = True, TRIES
                self._wake.set()
            self._subscribed = message
        elif isinstance(message, Ask):
            self._asked.append(message)
            self._wake.set()
        elif isinstance(message, Bye):
            self.publisher.hang_up()

    def _answer(self) -> None:
        while self._asked:
            ask = self._asked.popleft()
            if ask.epoch == self.epoch and 0 <= ask.kernel < len(self._kernels):
                language, text = code_of(self._kernels[ask.kernel])
                self.publisher.post(Code(ask.epoch, ask.kernel, language, text))

    # ---------------------------------------------------------------- probes
    def _plan_probe(self) -> None:
        now = time.perf_counter()
        wanted = self._subscribed
        if self._probe is not None or not self._nodes or (wanted is not None and wanted.epoch != self.epoch):
            return
        if wanted is None or self.publisher.closed.is_set():
            wanted = Subscribe(self.epoch)  # nobody looks: only what costs next to nothing
        selected = [i for i in wanted.selected.tolist() if 0 <= i < len(self._nodes)]
        user = self._fresh_selection and bool(selected)
        pause = max(FAR, PAUSES * self._step) if self._remote else LOOK if selected else GLANCE
        if not user and (now - self._looked < pause or not self._governor.allows(self._costs["value"])):
            return
        nodes = [i for i in wanted.nodes.tolist() if 0 <= i < len(self._nodes)]
        look = dict.fromkeys(selected)
        self._turn += 1
        if not user and self._turn % 4 == 0:
            look.update(dict.fromkeys(self._some(nodes)))
        deep = user or (self._turn % 3 == 0 and self._governor.allows(self._costs["gradient"]))  # it takes the backward half
        if deep:
            look.update(dict.fromkeys(g for i in selected if (g := int(self._snapshot.gradient[i])) >= 0 and not self._is_parameter(i)))
        changing = [i for i in dict.fromkeys([*selected, *nodes]) if self._is_parameter(i)][:32]
        timed = wanted.timing and now - self._timed > CLOCK and bool(self._kernels)
        self._fresh_selection, self._asked_for, self._deep = False, user, deep
        self._looked, self._looked_at = now, self.epoch
        if timed:
            self._timed = now
            self._findings.prepare()
        long = {*selected, *[int(self._snapshot.gradient[i]) for i in selected]}
        keep = now - self._kept_at > max(KEEP, self._bytes * 1e-9 / KEPT) and self._bytes < LARGE and not self._hunted
        if keep:
            self._kept_at = now
        self._probe = Probe([(i, self._ran[i]) for i in look], self._parameters, set(changing), timed, long, keep, self._under_way())
        self.tap.probe = self._probe

    def _under_way(self) -> bool:
        """Whether a round of training is: what is left of it says little."""
        return self.tap.midway or (self.tap.steps > 0 and self.tap.running)

    def _some(self, nodes: list[int]) -> list[int]:
        """Of the visible nodes as many as a look takes: on another device a few, in turns, since each set of them is a plan of its own."""
        if not self._remote:
            return nodes[:64]
        parts = max(1, -(-len(nodes) // FEW))
        at = FEW * (self._turn // 4 % parts)
        return nodes[at : at + FEW]

    def _listen(self) -> None:
        """Have the tap look at the next step, or at what runs, if nothing steps."""
        tap = self.tap
        now = time.process_time()
        steps, self._steps = tap.steps - self._steps, tap.steps
        clock = time.perf_counter()
        if not steps and not tap.near and clock - self._stepped > max(IDLE, 3 * self._step):  # in mid-step it would hear half a step
            tap.come_near()
        if steps:
            self._step, self._stepped = (clock - self._stepped) / steps, clock
        heard = HEARING * steps / (HEARD * max(now - self._ticked, 1e-3))
        tap.every, self._ticked = next((k for k in THINNED if k >= heard), THINNED[-1]), now
        tap.ask()

    def _is_parameter(self, i: int) -> bool:
        n = self._nodes[i]
        return n.op.name == "var" and n.rg

    def _collect(self) -> None:
        probe = self._probe
        if probe is None or not probe.done:
            if probe is not None and time.perf_counter() - self._looked > 3.0 and probe.values and not self.tap.steps:
                probe.done = True  # a model that is only evaluated never steps
            else:
                return
        self.tap.probe = self._probe = None
        begun = time.thread_time()
        if probe.kept is not None and probe.kept.state:
            self._kept.append(probe.kept)
        if self._looked_at == self.epoch:  # else its numbers are those of another graph's nodes
            self._findings.take(probe, self.tap.steps)
        own = time.thread_time() - begun
        if not probe.compiled:
            kind = "gradient" if self._deep else "value"
            self._costs[kind] += 0.3 * (probe.cost + own - self._costs[kind])
        if self._asked_for and self._tries and not probe.complete:  # it saw a step of another kind
            self._fresh_selection, self._tries = True, self._tries - 1
        free = probe.compiled and self._asked_for  # what the user clicked is shown at once
        self._governor.spend((0.0 if free else probe.cost) + own)


def _structure(snapshot: GraphSnapshot) -> tuple[Any, ...]:
    """What tells graphs apart whose shapes may differ: operations, edges, and the modules of what depends on parameters. (A node that does
    not may have been recorded first by something else that computes the same, see `capture`: its module is no property of the graph.)"""
    ops = snapshot.column("op")
    owned = [op == "var" for op in ops]
    for s, d in zip(snapshot.src.tolist(), snapshot.dst.tolist(), strict=True):  # sorted by `dst`
        owned[d] |= owned[s]
    scopes = [scope if own else "" for scope, own in zip(snapshot.column("scope"), owned, strict=True)]
    return len(snapshot), snapshot.src.tobytes(), snapshot.dst.tobytes(), tuple(ops), tuple(scopes)
