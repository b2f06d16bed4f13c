"""A person who does at random what people do with an agent, and who knows the truth about it at any time."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable

from .agents import Agent
from .stage import Stage
from .standin_api import Turn

# An agent may put what is typed while it clears its prompt in another order.
CLEAR_SECONDS = 0.5
# Below this, neither a piece of work nor a wait must be reported (score.py).
PAUSE_SECONDS = 3.2
ESCAPE_SECONDS = 10.0
# A key right after Escape would be another key, with Alt.
ESCAPE_APART_SECONDS = 1.0


class Conversation:
    """What happens in one agent's window. It is polled, because its user may look at another one meanwhile."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.phase = "waiting"  # or working, asking
        self.since = time.monotonic()
        self._turn: Turn | None = None

    def poll(self) -> None:
        if self.phase != "working":
            return
        if not self._turn:
            with contextlib.suppress(TimeoutError):
                self._turn = self.stage.api.next_turn(0)
        if self._turn and self._turn.end is not None:
            turn, self._turn = self._turn, None
            if turn.command is None or turn.dropped:
                self._change("waiting", "end", turn.end)
            elif self.stage.agent.asks:
                self._change("asking", "permission-dialog", turn.end)

    def submit(self, prompt: str, why: str) -> None:
        # What was typed before, or what the agent has put back, must not become part of the prompt.
        self.stage.look()
        self.stage.press_key("u", "ctrl")
        time.sleep(CLEAR_SECONDS)
        self._change("working", why, self.stage.type_and_enter(prompt))

    def approve(self) -> None:
        self.stage.look()
        self._change("working", "approve", self.stage.say_yes())

    def refuse(self) -> None:
        self.stage.look()
        self.stage.press_key("Escape")
        self._change("waiting", "refused", time.monotonic())
        time.sleep(ESCAPE_APART_SECONDS)

    def interrupt(self) -> None:
        """The model's turn ends when the agent hangs up, which the next poll sees."""
        if self.phase == "working" and not self._turn:
            self._turn = self.stage.api.next_turn()
        self.stage.look()
        for _ in range(self.stage.agent.escapes):
            self.stage.press_key("Escape")
        with contextlib.suppress(TimeoutError):
            if self._turn:
                self.stage.api.wait_for_end(self._turn, ESCAPE_SECONDS)

    @property
    def interruptible(self) -> bool:
        """Well within a turn of the model, far from its ends."""
        turn = self._turn
        return bool(turn and turn.end is None and 2 < time.monotonic() - turn.begin < turn.think_seconds - 2)

    def _change(self, phase: str, why: str, at: float) -> None:
        if phase != self.phase:
            self.phase, self.since = phase, at
        self.stage.says("working" if phase == "working" else "waiting", why, at)


class RandomUser:
    """The same seed plans the same actions, as far as the agents' own speed allows."""

    def __init__(self, stages: list[Stage], seed: int) -> None:
        self.conversations = [Conversation(stage) for stage in stages]
        self.done: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._made = 0

    def use(self, seconds: float) -> None:
        """Continues for that long, and then until every agent waits."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.act()
        for conversation in self.conversations:
            self.finish(conversation)

    def finish(self, conversation: Conversation, seconds: float = 120) -> None:
        """Lets an agent finish, and waits until its wait counts."""
        end = time.monotonic() + seconds
        while conversation.phase == "working" or time.monotonic() < conversation.since + PAUSE_SECONDS:
            assert time.monotonic() < end, f"{conversation.stage.agent.name} works for ever"
            time.sleep(0.1)
            self._poll()

    def act(self) -> None:
        self._poll()
        conversation = self._random.choice(self.conversations)
        rested = time.monotonic() - conversation.since > PAUSE_SECONDS
        actions: list[Callable[[Conversation], None]] = [self.idle, self.idle, self.resize, self.switch]
        if conversation.phase == "asking":
            actions += [self.approve, self.refuse] if rested else []
        else:
            actions += [self.type]
        if conversation.phase == "waiting" and rested:
            actions += [self.submit] * 4
        if conversation.interruptible:
            actions += [self.interrupt]
        action = self._random.choice(actions)
        self.done[action.__name__] += 1
        action(conversation)

    # What the user may do

    def idle(self, _: Conversation) -> None:
        end = time.monotonic() + self._random.uniform(0.5, 8)
        while time.monotonic() < end:
            time.sleep(0.1)
            self._poll()

    def switch(self, conversation: Conversation) -> None:
        self._random.choice([conversation.stage.look, conversation.stage.look_away])()

    def resize(self, conversation: Conversation) -> None:
        width = self._random.choice([600, 800, 1000])
        step = self._random.choice([-25, 25])
        conversation.stage.look()
        for _ in range(self._random.randint(1, 8)):
            conversation.stage.desktop.resize(conversation.stage.window, width)
            width += step

    def type(self, conversation: Conversation) -> None:
        conversation.stage.type_text("a draft " * self._random.randint(1, 5))

    def submit(self, conversation: Conversation) -> None:
        conversation.submit(*self.prompt(conversation.stage.agent))

    def approve(self, conversation: Conversation) -> None:
        conversation.approve()

    def refuse(self, conversation: Conversation) -> None:
        conversation.refuse()

    def interrupt(self, conversation: Conversation) -> None:
        conversation.interrupt()

    def prompt(self, agent: Agent) -> tuple[str, str]:
        """A random wish: short or long, streamed or silent, with a command or without."""
        seconds = round(0.3 * (20 / 0.3) ** self._random.random(), 1)
        self._made += 1
        if self._random.random() < 0.25 and (agent.approve_keys or not agent.asks):
            # Some agents refuse to sleep.
            tool = f"timeout {self._random.randint(1, 8)} tail -f /dev/null; touch made-{self._made}"
            return f"THINK={min(seconds, 4)} RUNTOOL=[{tool}]", "submit"
        if self._random.random() < 0.4:
            return f"please THINK={seconds} QUIET now", "submit-quiet"
        return f"please THINK={seconds} now", "submit"

    def _poll(self) -> None:
        for conversation in self.conversations:
            conversation.poll()
