"""The gate: an operation stops before each call, and can be told to go on, to leave the call out, or to end."""
import os
import subprocess
import time

import pytest
from support.gate import Gated
from support.waiting import wait_until


def test_operation_asks_before_every_call(box):
    gated = Gated(box, "run", "--rm", box.image, "--", "echo", "hi")
    status, out, error = gated.drive(lambda call: "go")
    assert (status, out) == (0, "hi\n"), error
    names = [call["name"] for call in gated.calls]
    assert {"clone3", "fsopen", "pivot_root"} <= set(names)
    assert all(call["call"] for call in gated.calls)


def test_others_leave_a_container_alone_that_is_being_made(box):
    """What is being made lies in root/tmp, which everybody sweeps who makes something; and its name, which was chosen
    and not taken yet, somebody else may take."""
    gated = Gated(box, "create", box.image)

    def meanwhile(call):
        if "spec.json" in call["call"]:
            (box.directory / "R").write_text("FROM busybox\nRUN true\n")
            box.ok("build", "other", box.directory / "R")
            assert box.ok("create", box.image) == f"{box.image}-1\n"
        return "go"

    status, out, error = gated.drive(meanwhile)
    assert (status, out) == (0, f"{box.image}-2\n"), error
    box.ok("rm", f"{box.image}-1", f"{box.image}-2")


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
    """Every call is aborted once, and nobody waits; afterwards neither a container nor anything in the kernel is left.
    Where the container's end is being cleared away, the command's own status counts."""
    gated = Gated(box, "run", "--rm", box.image, "--", "true")
    assert gated.drive(lambda call: "go")[0] == 0
    for stop_at in range(len(gated.calls)):
        asked, began = [], time.monotonic()

        def decide(call):
            asked.append(call)
            return "abort" if len(asked) == stop_at + 1 else "go"

        status, _, error = Gated(box, "run", "--rm", box.image, "--", "true").drive(decide)
        assert time.monotonic() - began < 10, asked[-1]
        started = "execve" in [call["name"] for call in asked[:stop_at]]
        assert started or len(asked) <= stop_at or status != 0, error
        assert box.json("ps", "-a") == [], asked[-1]
        wait_until(lambda: not box.leftovers(), 5, lambda: f"{asked[-1]}: {box.leftovers()}")


@pytest.mark.parametrize("verb", [["run", "--rm"], ["run", "-d"], ["start"]], ids=" ".join)
@pytest.mark.parametrize("file", ["/status.json", "/journal"])
def test_abort_when_the_container_runs_already_leaves_nothing(box, verb, file):
    """Between its start and the word that it was started, all that it has must go again."""
    if verb[0] == "start":
        box.ok("create", box.image, "web", "--", "sleep", "1000")
    words = [*verb, "web"] if verb[0] == "start" else [*verb, box.image, "web", "--", "sleep", "1000"]
    executed = []

    def decide(call):
        executed.extend([call] if call["name"] == "execve" else [])
        return "abort" if executed and call["name"] == "write" and file in call["call"] else "go"

    status, _, error = Gated(box, *words).drive(decide)
    assert executed and status == (1 if verb == ["start"] else 125) and "stopped at the gate" in error
    assert [c["state"] for c in box.json("ps", "-a")] == (["created"] if verb[0] == "start" else [])
    box.run("rm", "web")
    wait_until(lambda: not box.leftovers(), 5, lambda: box.leftovers())


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
