"""--restart: what starts again by itself, when, and who ends that."""
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from support import host
from support.waiting import wait_until

FAILS = ["--", "sh", "-c", "echo life; exit 4"]
ENDS = ["--", "sh", "-c", "echo life"]
RUNS = ["--", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"]
OTHER_BOOT = "00000000-0000-4000-8000-000000000000"


def inspect(box, name):
    return json.loads(box.ok("inspect", name))


def restarts(box, name):
    return inspect(box, name)["restart"]["count"]


def lives(box, name):
    return box.ok("logs", name).count("life")


def keepers(box):
    return [line for line in host.processes_using(box.root, box.run_directory)]


# ---- policies

def test_on_failure_tries_as_often_as_it_was_told(box):
    box.ok("run", "-d", "--restart", "on-failure:2", box.image, "web", *FAILS)
    wait_until(lambda: restarts(box, "web") == 2 and box.state("web") == "exited" and not keepers(box), 20, "it gave up")
    assert lives(box, "web") == 3
    known = inspect(box, "web")
    assert known["restart"] == {"policy": "on-failure:2", "count": 2, "stopped": False, "next": None}
    assert known["exit_code"] == 4


@pytest.mark.parametrize("policy,command", [("on-failure", ENDS), ("no", FAILS)])
def test_what_shall_not_start_again_stays_ended_and_its_keeper_goes(box, policy, command):
    box.ok("run", "-d", "--restart", policy, box.image, "web", *command)
    wait_until(lambda: box.state("web") == "exited" and not keepers(box), 10, "its keeper is gone")
    assert lives(box, "web") == 1


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_success_is_no_reason_to_stay_ended(box, policy):
    box.ok("run", "-d", "--restart", policy, box.image, "web", *ENDS)
    wait_until(lambda: lives(box, "web") >= 3, 20, "it lived three times")
    verbs = [(e["verb"], e["outcome"]) for e in box.json("events") if e["name"] == "web"]
    assert ("start", "again (1. time)") in verbs and ("exit", "exit 0") in verbs
    box.ok("stop", "web")
    assert box.state("web") is None


def test_pauses_grow_and_the_next_start_is_told(box):
    box.ok("run", "-d", "--restart", "always", box.image, "web", *FAILS)
    wait_until(lambda: restarts(box, "web") >= 3 and "starts again in" in box.ok("ps", "-a"), 20, "it waits")
    wait_until(lambda: inspect(box, "web")["restart"]["next"], 20, "the time is told")
    times = [e["time_ns"] for e in box.json("events") if e["name"] == "web" and e["verb"] == "start"]
    first, third = times[1] - times[0], times[3] - times[2]
    assert 100e6 <= first and 400e6 <= third, (first, third)


@pytest.mark.parametrize("how,verb", [("running", "kill"), ("running", "kill -s TERM"), ("running", "stop --keep"),
                                      ("running", "stop -t 0 --keep"), ("waiting", "stop --keep")])
def test_who_ends_it_ends_its_restarts(box, how, verb):
    box.ok("run", "-d", "--restart", "always", box.image, "web", *(RUNS if how == "running" else FAILS))
    if how == "waiting":
        wait_until(lambda: "starts again in" in box.ok("ps", "-a"), 20, "it waits")
    box.ok(*verb.split(), "web")
    wait_until(lambda: box.state("web") == "exited" and not keepers(box), 10, "its keeper is gone")
    assert inspect(box, "web")["restart"]["stopped"] is True
    box.ok("start", "web")  # from now on it counts again
    assert inspect(box, "web")["restart"]["stopped"] is False


def test_signal_that_does_not_mean_the_end_does_not_end_restarts(box):
    box.ok("run", "-d", "--restart", "always", box.image, "web", "--", "sh", "-c",
           "trap 'exit 5' USR1; echo life; while :; do sleep 0.05; done")
    wait_until(lambda: lives(box, "web") == 1, 10, "its trap is set")
    box.ok("kill", "-s", "USR1", "web")
    wait_until(lambda: lives(box, "web") == 2 and box.state("web") == "running", 20, "it lives again")


@pytest.mark.parametrize("verb", [["start", "web"], ["restart", "web"], ["rm", "web"], ["rm", "-f", "web"], ["rename", "web", "shop"]],
                         ids=" ".join)
def test_verbs_on_one_that_waits(box, verb):
    box.ok("run", "-d", "--restart", "always", box.image, "web", "--", "sh", "-c", "test -e /stay && exec sleep 1000; exit 1")
    wait_until(lambda: restarts(box, "web") >= 4 and inspect(box, "web")["restart"]["next"], 20, "it waits")
    identity = inspect(box, "web")["id"]
    (box.root / "containers/id" / identity / "rw/upper/stay").touch()
    box.ok(*verb)
    if verb[0] == "rm":
        assert box.state("web") is None
        wait_until(lambda: not keepers(box), 10, "its keeper is gone")
        return
    name = verb[-1]
    wait_until(lambda: box.state(name) == "running", 20, "it runs")
    assert restarts(box, name) == 0 or verb[0] == "rename"


def test_killed_keeper_ends_the_container_and_its_restarts(box):
    box.ok("run", "-d", "--restart", "always", box.image, "web", *RUNS)
    os.kill(inspect(box, "web")["keeper"], signal.SIGKILL)
    box.wait_for_state("web", "exited")
    assert inspect(box, "web")["restart"]["next"] is None
    box.ok("start", "web")
    assert box.state("web") == "running"


def test_start_that_fails_is_tried_again(box):
    box.ok("create", "--restart", "always", box.image, "web", "--", "/life")
    identity = inspect(box, "web")["id"]
    program = box.root / "containers/id" / identity / "rw/upper/life"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\nrm /life\n")
    program.chmod(0o755)
    box.ok("start", "web")
    wait_until(lambda: [e for e in box.json("events") if e["outcome"].startswith("failed: ")], 20, "it failed")
    assert restarts(box, "web") >= 1
    wait_until(lambda: box.state("web") == "exited", 10, "it waits")
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    wait_until(lambda: box.state("web") == "running", 30, "it runs again")


def test_wait_returns_at_the_end_of_the_life_that_it_found(box):
    box.ok("run", "-d", "--restart", "on-failure", box.image, "web", "--", "sh", "-c", "trap 'exit 7' USR1; while :; do sleep 0.05; done")
    waiting = box.start("wait", "web")
    wait_until(lambda: "poll" in Path(f"/proc/{waiting.pid}/wchan").read_text(), 10, "it waits")
    box.ok("kill", "-s", "USR1", "web")
    assert waiting.wait(timeout=20) == 7
    waiting.communicate()


def test_what_cannot_be_is_refused(box):
    for words, said in ((["run", "--restart", "always", box.image], "--restart is for containers in the background"),
                        (["run", "-d", "--rm", "--restart", "always", box.image], "--rm removes it"),
                        (["create", "--restart", "on-failure:x", box.image], "'on-failure:x' is not known"),
                        (["create", "--restart", "always:3", box.image], "'always:3' is not known"),
                        (["start"], "which container?"), (["start", "--boot", "web"], "--boot takes no names")):
        assert said in box.fails(*words, status=2), words
    assert box.json("ps", "-a") == []


# ---- another boot

def pretend_another_boot(box, name, running):
    """As a host that lost its power leaves it."""
    file = box.root / "containers/id" / inspect(box, name)["id"] / "status.json"
    status = json.loads(file.read_text())
    status["boot_id"] = OTHER_BOOT
    if running:
        status.update(state="running", pid=os.getpid(), keeper=os.getpid())
    file.write_text(json.dumps(status))


@pytest.mark.parametrize("policy,running,starts", [("always", True, True), ("always", False, True),
                                                   ("unless-stopped", True, True), ("unless-stopped", False, False),
                                                   ("on-failure", True, False), ("no", True, False)])
def test_boot_starts_what_its_policy_asks_for(box, policy, running, starts):
    box.ok("run", "-d", "--restart", policy, box.image, "web", *RUNS)
    if running:
        box.ok("kill", "-s", "KILL", "web")
        wait_until(lambda: not keepers(box), 10, "its keeper is gone")
        (box.root / "containers/id" / inspect(box, "web")["id"] / "stopped").unlink(missing_ok=True)
    else:
        box.ok("stop", "--keep", "web")
    wait_until(lambda: not keepers(box), 10, "its keeper is gone")
    assert box.ok("start", "--boot") == "", "nothing to be done in the same boot"
    pretend_another_boot(box, "web", running)
    assert box.ok("start", "--boot") == ("web\n" if starts else "")
    assert box.state("web") == ("running" if starts else "exited")
    assert box.ok("start", "--boot") == ""


def test_boot_starts_the_others_when_one_fails(box):
    for name in ("a", "b", "c"):
        box.ok("run", "-d", "--restart", "always", box.image, name, *RUNS)
        box.ok("stop", "--keep", name)
    upper = box.root / "containers/id" / inspect(box, "b")["id"] / "rw/upper"
    box.ok("start", "b")
    box.ok("exec", "b", "--", "rm", "/bin/sh")
    box.ok("stop", "--keep", "b")
    assert upper.is_dir()
    for name in ("a", "b", "c"):
        pretend_another_boot(box, name, False)
    done = box.run("start", "--boot")
    assert (done.returncode, done.stdout) == (1, "a\nc\n")
    assert "cannot start 'b'" in done.stderr


@pytest.mark.parametrize("command,ends", [(["--", "sleep", "1000"], 137), (RUNS, 3), (FAILS, 4),
                                          (["--userns", "host", "--pid", "host", "--", "sleep", "1000"], 143)],
                         ids=["deaf", "hears", "waits", "no PID 1"])
def test_keeper_that_is_told_to_end_ends_its_container_until_the_next_boot(box, command, ends):
    """As whoever takes the host down sends SIGTERM to everybody, and waits for them."""
    box.ok("run", "-d", "--restart", "always", box.image, "web", *command)
    if command == FAILS:
        wait_until(lambda: "starts again in" in box.ok("ps", "-a"), 20, "it waits")
    elif command == RUNS:
        pid = inspect(box, "web")["pid"]
        wait_until(lambda: kernel_says_it_catches(pid, signal.SIGTERM), 10, "it has its trap")
    keeper = inspect(box, "web")["keeper"]
    os.kill(keeper, signal.SIGTERM)
    wait_until(lambda: not keepers(box), 10, "its keeper is gone")
    web = inspect(box, "web")
    assert (web["state"], web["exit_code"], web["restart"]["stopped"]) == ("exited", ends, False)
    pretend_another_boot(box, "web", False)
    assert box.ok("start", "--boot") == "web\n"


def kernel_says_it_catches(pid, number):
    caught = re.search(r"SigCgt:\t(\w+)", Path(f"/proc/{pid}/status").read_text())[1]
    return int(caught, 16) >> (number - 1) & 1


def test_installation_brings_a_service_that_starts_them(box, tmp_path):
    build = box.program.parent
    done = subprocess.run(["cmake", "--install", build, "--prefix", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    unit = (tmp_path / "lib/systemd/system/conductor.service").read_text()
    assert f"ExecStart={tmp_path}/bin/conductor start --boot\n" in unit
    assert (tmp_path / "bin/conductor").exists()
