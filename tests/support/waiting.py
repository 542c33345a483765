"""Tests never sleep for a fixed time: they wait for the condition they mean, with a deadline."""
import os
import time

PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))  # set by tests/CMakeLists.txt: a slower build gets more time


def wait_until(condition, deadline=10.0, what=None):
    """Calls condition() until it returns something true, and returns that.

    deadline is in seconds, of which a slower build gets more; after it an AssertionError names `what` (a text, or a function that makes one), or the
    condition itself. An AssertionError inside the condition counts as "not yet", and is shown when time is up.
    """
    deadline *= PATIENCE
    end = time.monotonic() + deadline
    pause, last = 0.002, None
    while True:
        try:
            if result := condition():
                return result
            last = None
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() > end:
            shown = what() if callable(what) else what or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"not within {deadline:g} s: {shown}") from last
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
