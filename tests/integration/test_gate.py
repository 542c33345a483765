"""The gate: an operation stops before each call, and can be told to go on, to leave the call out, or to end."""
import os
import subprocess

import pytest
from support.gate import Gated
from support.waiting import wait_until


@pytest.fixture
def box(conductor):
    conductor.image = conductor.busybox_image()
    return conductor


def test_operation_asks_before_every_call(box):
    gated = Gated(box, "run", "--rm", box.image, "--", "echo", "hi")
    status, out, error = gated.drive(lambda call: "go")
    assert (status, out) == (0, "hi\n"), error
    names = [call["name"] for call in gated.calls]
    assert {"clone3", "fsopen", "pivot_root"} <= set(names)
    assert all(call["call"] for call in gated.calls)


def test_nothing_happens_while_the_gate_waits(box):
    def decide(call):
        if call["name"] == "clone3":
            # What stands before the call is not yet done: there is no process of the container.
            (row,) = box.json("ps", "-a")
            assert row["pid"] == 0
        return "go"

    status, _, error = Gated(box, "run", "-d", box.image, "web", "--", "sleep", "1000").drive(decide)
    assert status == 0, error
    assert box.state("web") == "running"


def test_call_that_is_skipped_is_not_made(box):
    status, out, _ = Gated(box, "run", "--rm", box.image, "--", "hostname").drive(
        lambda call: "skip" if call["name"] == "sethostname" else "go")
    assert status == 0
    assert out.strip() == os.uname().nodename


def test_abort_before_any_call_leaves_nothing(box):
    """Every call is aborted once. A start that fails takes back at once what it made; where the container's end is
    being cleared away, the command's own status counts, and doctor --fix finishes what was stopped."""
    gated = Gated(box, "run", "--rm", box.image, "--", "true")
    assert gated.drive(lambda call: "go")[0] == 0
    for stop_at in range(len(gated.calls)):
        asked = []

        def decide(call):
            asked.append(call)
            return "abort" if len(asked) == stop_at + 1 else "go"

        status, _, error = Gated(box, "run", "--rm", box.image, "--", "true").drive(decide)
        started = "execve" in [call["name"] for call in asked[:stop_at]]
        assert started or len(asked) <= stop_at or status != 0, error
        if started:
            box.run("doctor", "--fix")
        assert box.json("ps", "-a") == [], asked[stop_at]
        wait_until(lambda: not box.leftovers(), 5, lambda: f"{asked[stop_at]}: {box.leftovers()}")


def test_end_of_the_input_means_abort(box):
    read, write = os.pipe()
    os.close(write)
    done = subprocess.run(box.command("--gate", str(read), "create", box.image, "web"), pass_fds=[read], text=True,
                          capture_output=True, timeout=30)
    os.close(read)
    assert done.returncode == 1
    assert "stopped at the gate" in done.stderr
    assert box.json("ps", "-a") == []


def test_decision_that_is_none_is_an_error(box):
    read, write = os.pipe()
    os.write(write, b"perhaps\n")
    os.close(write)
    done = subprocess.run(box.command("--gate", str(read), "create", box.image, "web"), pass_fds=[read], text=True,
                          capture_output=True, timeout=30)
    os.close(read)
    assert done.returncode == 2 and "perhaps" in done.stderr
    assert box.json("ps", "-a") == []
