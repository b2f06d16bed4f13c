"""What the scripted agents share: they write down what they do, for the truth of a trace."""

import os
import time


def says(state, why):
    """The state from now on, with the time (CLOCK_MONOTONIC)."""
    with open(os.environ["TRUTH_FILE"], "a") as file:
        file.write(f"{time.monotonic():.6f} {state} {why}\n")


def think(seconds):
    """Works without a word."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(10_000))
        time.sleep(0.01)
