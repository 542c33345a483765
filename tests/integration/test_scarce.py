"""Verbs that get too few descriptors, too little memory or no process: each says so in a sentence, and leaves nothing."""
import os
import resource
import subprocess
from pathlib import Path

import pytest
from support.waiting import wait_until
from test_crash import nothing_remains, row

SLEEP = ["--", "sleep", "1000"]

VERBS = {"start": ["start", "web"], "exec": ["exec", "web", "--", "true"], "stop": ["stop", "--keep", "-t", "0", "web"],
         "rm": ["rm", "-f", "web"]}


def situation(box, verb):
    if row_of(box) is not None:
        box.ok("rm", "-f", "web")
    if verb == "start":
        box.ok("create", box.image, "web", *SLEEP)
    else:
        box.ok("run", "-d", box.image, "web", *SLEEP)


def row_of(box):
    return next((c for c in box.json("ps", "-a") if c["name"] == "web"), None)


def check(box, verb, done, reasons, where):
    """It worked, or it said why not; the container is as before or as after, and works."""
    state = row_of(box)["state"] if row_of(box) else None
    before, after = {"start": ("created", "running"), "exec": ("running", "running"), "stop": ("running", "exited"),
                     "rm": ("running", None)}[verb]
    if done.returncode == 0:
        assert state == after, where
    else:
        assert any(reason in done.stderr for reason in reasons), f"{where}: {done.returncode} {done.stderr}"
        assert "should not have happened" not in done.stderr and "terminate called" not in done.stderr, done.stderr
        # What was killed before the trouble came cannot come back.
        assert state == before or (verb in ("stop", "rm") and state in (after, "exited")), f"{where}: {state}: {done.stderr}"
    nothing_remains(box, where)
    if verb != "rm" and state == before:
        box.ok(*VERBS[verb])


@pytest.mark.parametrize("verb", VERBS)
def test_too_few_descriptors(box, verb):
    failed = 0
    for most in range(4, 40, 3):
        situation(box, verb)
        done = box.run(*VERBS[verb], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
        check(box, verb, done, ["Too many open files", "error while loading shared libraries"], f"{most} descriptors")
        failed += done.returncode != 0
    assert failed > 0


@pytest.mark.parametrize("verb", VERBS)
def test_too_little_memory(box, verb):
    failed = 0
    for megabytes in (2, 4, 5, 6, 7, 8, 10, 12, 16, 24):
        situation(box, verb)
        most = megabytes << 20
        done = box.run(*VERBS[verb], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)))
        if done.returncode < 0 and megabytes <= 4:
            continue  # the kernel could not even lay the program out
        # What takes a removed container's directory apart behind the verb has no more memory than that.
        if verb == "rm" and done.returncode == 0:
            box.ok("doctor", "--fix")
        check(box, verb, done, ["not enough memory", "Cannot allocate memory", "error while loading shared libraries",
                                "cannot create TLS data", "out of memory"], f"{megabytes} MiB")
        failed += done.returncode != 0
    assert failed > 0


@pytest.fixture
def few_processes():
    """Puts whoever calls join() into a group that takes so many processes: few_processes(number) -> join."""
    hierarchy = next(p for p in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup") if Path(p, "cgroup.procs").exists())
    group = Path(hierarchy, f"test-{os.getpid()}")
    if hierarchy == "/sys/fs/cgroup":
        Path(hierarchy, "cgroup.subtree_control").write_text("+pids")
    group.mkdir()

    def make(number):
        (group / "pids.max").write_text(str(number))
        return lambda: (group / "cgroup.procs").write_text(str(os.getpid()))

    yield make
    wait_until(lambda: not (group / "cgroup.procs").read_text(), 10, "the group is empty")
    group.rmdir()


@pytest.mark.parametrize("verb", ["start", "exec"])
def test_no_further_process(box, few_processes, verb):
    for number in (1, 2):
        situation(box, verb)
        done = box.run(*VERBS[verb], preexec_fn=few_processes(number))
        check(box, verb, done, ["Resource temporarily unavailable"], f"{number} processes")
        assert number > 1 or done.returncode != 0


def test_no_further_process_in_the_container(box):
    """Its own limit: an exec is told why, and the container goes on."""
    box.ok("run", "-d", "--pids", "2", box.image, "web", "--", "sh", "-c", "sleep 1000 & sleep 1000")
    wait_until(lambda: len(box.json("top", "web")) == 2 or "sleep 1000" in box.ok("top", "web"), 10)
    done = box.run("exec", "web", "--", "true")
    assert done.returncode in (0, 125), done
    if done.returncode:
        assert "Resource temporarily unavailable" in done.stderr or "pids" in done.stderr, done.stderr
    assert row(box, "web")["state"] == "running"
