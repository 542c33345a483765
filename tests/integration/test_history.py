"""logs and events: from when to when, which, and how much is kept; and why a program could not be run."""
import json
import os
import subprocess
import time

import pytest
from support.waiting import wait_until


def stamp(line):
    return line.split(" ", 1)[0]


# ---- logs

def test_logs_from_then_until_then(box):
    box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "for i in 1 2 3 4; do echo line $i; sleep 0.05; done")
    box.wait_for_state("web", "exited")
    lines = box.ok("logs", "-t", "web").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [f"line {i}" for i in (1, 2, 3, 4)]
    second, third = stamp(lines[1]), stamp(lines[2])
    assert box.ok("logs", "--since", second, "--until", third, "web") == "line 2\n"
    assert box.ok("logs", "--until", third, "web") == "line 1\nline 2\n"
    assert box.ok("logs", "--until", third, "--tail", "1", "web") == "line 2\n"
    assert box.ok("logs", "--since", third, "--tail", "1", "web") == "line 4\n"
    assert box.ok("logs", "--until", "1h", "web") == ""


def test_following_ends_when_its_time_has_come(box):
    box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "while :; do echo line; sleep 0.05; done")
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    assert "line\n" in box.ok("logs", "-f", "--until", until, "web", timeout=30)
    assert "start" in box.ok("events", "-f", "--since", "1h", "--until", until, timeout=30)


@pytest.mark.parametrize("verb", [["logs", "web"], ["events"]], ids=lambda verb: verb[0])
def test_times_that_are_none_are_refused(box, verb):
    box.ok("create", box.image, "web")
    assert "--until" in box.fails(*verb, "--until", "soon", status=2)
    assert "--since" in box.fails(*verb, "--since", "soon", status=2)
    assert "nothing lies between" in box.fails(*verb, "--since", "1m", "--until", "2m", status=2)


def test_log_is_rotated_and_inspect_tells_how_much_is_kept(box):
    config = box.directory / "config.json"
    config.write_text('{"log_size": 65536, "log_files": 2}')
    box.ok("--config", config, "run", "-d", box.image, "web", "--", "sh", "-c",
           "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo 'a line of the container' $i; done")
    box.wait_for_state("web", "exited", 60)
    log = json.loads(box.ok("--config", config, "inspect", "web"))["log"]
    assert (log["most_bytes_of_a_file"], log["most_files"]) == (65536, 2)
    assert log["files"] == 2 and 0 < log["bytes"] <= 2 * 65536
    assert sum(os.path.getsize(f"{log['directory']}/{name}") for name in ("log", "log.1")) == log["bytes"]
    assert box.ok("logs", "--tail", "1", "web") == "a line of the container 20000\n"


def test_log_has_a_bound_by_default(box):
    box.ok("create", box.image, "web")
    log = json.loads(box.ok("inspect", "web"))["log"]
    assert (log["most_bytes_of_a_file"], log["most_files"], log["bytes"]) == (10 << 20, 3, 0)


# ---- events

def test_events_are_filtered(box):
    for name in ("web", "db"):
        box.ok("run", "-d", box.image, name, "--", "sleep", "1000")
        box.ok("kill", name)
        box.wait_for_state(name, "exited")
    chosen = box.json("events", "--filter", "name=web", "--filter", "verb=start", "--filter", "verb=exit")
    assert [(e["verb"], e["name"]) for e in chosen] == [("start", "web"), ("exit", "web")]
    assert [e["name"] for e in box.json("events", "--filter", "outcome=137")] == ["web", "db"]
    assert [e["name"] for e in box.json("events", "--filter", "verb=start", "--tail", "1")] == ["db"]
    assert sorted(e["verb"] for e in box.json("events", "--filter", "web")) == ["create", "exit", "kill", "start"]
    assert "filters are name, id, verb" in box.fails("events", "--filter", "colour=red", status=2)
    assert box.json("events", "--until", "1h") == []
    assert box.json("events", "--since", "1h") == box.json("events")


def test_followed_events_are_filtered(box):
    following = box.start("events", "-f", "--json", "--since", "1h", "--filter", "verb=create")
    box.ok("create", box.image, "web")
    box.ok("rm", "web")
    box.ok("create", box.image, "db")
    assert [json.loads(following.stdout.readline())["name"] for _ in range(2)] == ["web", "db"]
    following.terminate()
    following.communicate(timeout=10)


# ---- programs that cannot be run

@pytest.fixture
def programs(box):
    """A directory with programs that each cannot be run for a reason of its own, and a container that sees it."""
    place = box.directory / "programs"
    place.mkdir()
    (place / "crlf").write_bytes(b"#!/bin/sh\r\necho no\r\n")
    (place / "lost").write_text("#!/usr/bin/python9\n")
    (place / "text").write_text("echo hello\n")
    (place / "empty").write_text("")
    elf = bytearray(open("/bin/true", "rb").read())
    (place / "foreign").write_bytes(elf[:18] + b"\xb7\x00" + elf[20:])  # e_machine: aarch64
    (place / "dynamic").write_bytes(bytes(elf))
    for file in place.iterdir():
        file.chmod(0o755)
    (place / "plain").write_text("#!/bin/sh\n")
    (place / "plain").chmod(0o644)
    (place / "mine").write_text("#!/bin/sh\n")
    (place / "mine").chmod(0o700)
    box.ok("run", "-d", "-v", f"{place}:/p", box.image, "web", "--", "sleep", "1000")
    return place


@pytest.mark.parametrize("name,status,said", [
    ("crlf", 126, "ends in a carriage return (CRLF)"), ("lost", 127, "names the interpreter /usr/bin/python9"),
    ("foreign", 126, "is a program for aarch64"), ("dynamic", 127, "needs the loader /lib64/ld-linux"),
    ("plain", 126, "/p/plain is not executable"), ("text", 126, "neither a program nor a script"),
    ("empty", 126, "/p/empty is empty"), ("nothing", 127, "there is no such file")])
def test_program_that_cannot_be_run_says_why(box, programs, name, status, said):
    for verb in (["exec", "web"], ["run", "--rm", "-v", f"{programs}:/p", box.image]):
        message = box.fails(*verb, "--", f"/p/{name}", status=status)
        assert f"cannot run '/p/{name}': " in message and said in message, message
        assert "hint: " in message or name in ("nothing", "empty"), message


def test_program_of_somebody_else_says_who_may_not(box, programs):
    message = box.fails("exec", "-u", "1000:1000", "web", "--", "/p/mine", status=126)
    assert "Permission denied" in message and "its user may not execute it" in message, message


def test_program_on_a_file_system_without_programs(box):
    place = box.directory / "noexec"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", place], check=True)
    try:
        (place / "script").write_text("#!/bin/sh\necho no\n")
        (place / "script").chmod(0o755)
        message = box.fails("run", "--rm", "-v", f"{place}:/p", box.image, "--", "/p/script", status=126)
        assert "/p/script lies on a file system that is mounted noexec" in message and "hint: " in message
    finally:
        subprocess.run(["umount", place], check=True)
