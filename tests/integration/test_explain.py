"""What --explain and --events tell is what happens: compared with strace, for every verb well-formed."""
import collections
import json
import os
import re
import subprocess

import pytest

# Calls that change mounts, processes or namespaces; each that conductor's own processes make must have been told.
TOLD_CALLS = ["mount", "umount2", "pivot_root", "clone3", "setns", "unshare", "fsopen", "fsconfig", "fsmount", "open_tree",
              "move_mount", "mount_setattr", "sethostname"]


@pytest.fixture
def box(conductor):
    conductor.image = conductor.busybox_image()
    return conductor


def events_of(conductor, *arguments, **options):
    """The event stream of a verb, by a pipe."""
    read, write = os.pipe()
    process = subprocess.Popen(conductor.command("--events", str(write), *arguments), pass_fds=[write], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=conductor.environment, **options)
    os.close(write)
    with os.fdopen(read) as stream:
        lines = stream.read().splitlines()
    process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in lines]


def check_stream(events):
    """hello first, steps nest and end, calls lie in steps and end, time never runs back."""
    assert events[0] == {"event": "hello", "schema": 1}
    open_steps, calls, ended = {}, collections.Counter(), set()
    for event in events[1:]:
        kind = event["event"]
        assert isinstance(event["time_us"], int)
        if kind == "step_began":
            assert event["id"] not in open_steps and event["id"] not in ended
            assert event["parent"] == 0 or event["parent"] in open_steps, event
            open_steps[event["id"]] = event["topic"]
        elif kind == "step_ended":
            assert event["outcome"] in ("done", "failed")
            open_steps.pop(event["id"])
            ended.add(event["id"])
        elif kind == "call_began":
            calls[event["call"]] += 1
            assert event["step"] == 0 or event["step"] in open_steps, event
        elif kind == "call_ended":
            calls[event["call"]] -= 1
            assert event["duration_us"] >= 0 and isinstance(event["errno"], str)
    assert not open_steps
    assert not +calls and not -calls


def test_stream_of_every_verb_is_well_formed(box):
    for words in [f"create {box.image} web -- sleep 1000", "start web", "exec web -- true", "inspect web", "ps -a", "top web",
                  "stats", "logs web", "sessions", "events", "kill -s CONT web", "stop --keep web", "start web", "rm -f web",
                  f"run --rm {box.image} -- true", f"run -d {box.image} two -- sleep 1000", "stop two", "images", "rmcache",
                  "config", "version", "doctor"]:
        status, events = events_of(box, *words.split())
        assert status == 0, words
        check_stream(events)
        assert words.startswith("logs") or any(e["event"] == "result" for e in events), words


def test_stream_of_a_failure_is_well_formed(box):
    status, events = events_of(box, "run", "--rm", box.image, "--", "no-such-program")
    assert status == 127
    check_stream(events)
    assert any(e["event"] == "step_ended" and e["outcome"] == "failed" for e in events)


def test_events_on_stdout_are_alone_there(box):
    lines = box.ok("--events", "1", "ps", "-a").splitlines()
    check_stream([json.loads(line) for line in lines])


def test_explain_json_is_one_object_a_line_on_stderr(box):
    done = box.run("--explain=json", "run", "--rm", box.image, "--", "echo", "hi")
    assert done.stdout == "hi\n"
    check_stream([json.loads(line) for line in done.stderr.splitlines()])


def test_explain_names_steps_calls_results_and_what_to_type(box):
    text = box.run("--explain", "run", "--rm", box.image, "--", "true").stderr
    assert re.search(r"^1  conductor run", text, re.M)
    assert re.search(r"^ +ok +[\d.]+ [um]s  fsopen\(\"overlay\"", text, re.M)
    assert re.search(r"^ +\$ mount ", text, re.M)
    assert re.search(r"^ +done in [\d.]+ m?s", text, re.M)
    assert "\x1b" not in text


def traced(conductor, *arguments):
    """Runs a verb under strace; the calls that conductor's own processes made, by name, and what the verb told."""
    log = conductor.directory / "strace"
    command = ["strace", "-f", "-qq", "-s", "4096", "-o", str(log), "-e", "trace=execve,write,mkdir,mkdirat," + ",".join(TOLD_CALLS),
               *conductor.command("--explain=json", *arguments)]
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                          env=conductor.environment)
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    made, foreign, began = collections.Counter(), set(), False
    for line in log.read_text(errors="replace").splitlines():
        found = re.match(r"(\d+) +(\w+)\((.*)", line)
        if not found:
            continue
        pid, name, rest = found.groups()
        if name == "execve" and " = 0" in rest:
            # The first execve is conductor itself; whatever executes another program is no process of ours any more.
            if not began or "conductor" in rest.split(",")[0]:
                began = True
            else:
                foreign.add(pid)
        elif pid not in foreign and name in TOLD_CALLS:
            made[name] += 1
    calls = collections.Counter(e["name"] for e in told if e["event"] == "call_began")
    return done, made, calls, told


@pytest.mark.parametrize("words", ["run --rm {image} -- true", "run -d {image} web -- true", "exec running -- true",
                                   "stop running", "rm -f running"])
def test_strace_shows_no_call_that_explain_does_not(box, words):
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode != 0:
        pytest.skip("strace does not work here")
    if "running" in words:
        box.ok("run", "-d", box.image, "running", "--", "sleep", "1000")
    done, made, calls, told = traced(box, *words.format(image=box.image).split())
    assert done.returncode == 0, done.stderr
    untold = {name: (count, calls[name]) for name, count in made.items() if count > calls[name]}
    assert not untold, f"made more often than told (made, told): {untold}"


def test_writes_to_control_groups_are_told(box):
    log = box.directory / "strace"
    subprocess.run(["strace", "-f", "-qq", "-y", "-s", "256", "-o", str(log), "-e", "trace=write,mkdir,mkdirat",
                    *box.command("--explain=json", "run", "--rm", box.image, "--", "true")],
                   stdin=subprocess.DEVNULL, stderr=open(box.directory / "told", "w"), check=True, timeout=120)
    told = [json.loads(line) for line in (box.directory / "told").read_text().splitlines() if line.startswith("{")]
    text = "\n".join(e.get("call", "") for e in told if e["event"] == "call_began")
    written = re.findall(r"write\(\d+<(/sys/fs/cgroup[^>]*)>", log.read_text(errors="replace"))
    made = re.findall(r"mkdir(?:at)?\([^\n]*?cgroup[^\n]* = 0", log.read_text(errors="replace"))
    told_writes = sum(1 for e in told if e["event"] == "call_began" and "cgroup" in e["call"])
    assert told_writes >= len(set(written)) + len(made), (text, written, made)
    for path in set(written):
        assert os.path.basename(path) in text, path
