"""What --explain and --events tell is what happens: compared with strace, for every verb well-formed."""
import collections
import json
import os
import re
import signal
import subprocess

import pytest
from support import host, strace
from support.oci_image import Image, box_layer, tar
from support.registry import Registry
from support.waiting import wait_until

# Every verb that changes something, in the states of its container that matter: "running", "stopped" and "crashed" are there before.
CHANGING = ["build made {directory}/Conductorfile", "pull {registry}/web", "push {image} {registry}/to",
            "login {registry} -u user --password-stdin", "logout {registry}", "rmi {image}", "rmcache",
            "tag {image} other", "save {image} -o {directory}/saved.tar", "save {image} -o {directory}/layout/",
            "save {image} --format docker -o {directory}/docker.tar", "load {directory}/image.tar --name loaded",
            "export running -o {directory}/files.tar", "export {image} -o {directory}/files.tar",
            "import {directory}/tree.tar imported", "commit running made", "cp {directory}/Conductorfile running:/x",
            "cp running:/etc {directory}/etc", "cp -a {directory}/motd stopped:/etc/hosts", "prune --force", "prune --force --volumes  # volume",
            "rmvolume data  # volume", "create -v new:/etc {image} web", "run --rm -v data:/d -v /e {image} -- true  # volume", "run --rm {image} -- true",
            "run -d {image} web -- sleep 1000",
            "run --rm --userns host --network host --read-only --tmpfs /t --memory 64M --cpus 0.5 --pids 50 -v /etc:/x:ro {image}"
            " -- true", "create {image} web", "start stopped", "exec running -- true", "exec -d running -- sleep 1000",
            "exec --session running -- sleep 1000", "stop running", "stop --keep running", "kill running", "rm stopped",
            "rm -f running", "start crashed", "doctor --fix  # crashed", "demo", "addnetwork running -i -e 80-8080",
            "addnetwork running  # connected", "delnetwork running  # connected", "peer running stopped",
            "unpeer running stopped  # connected", "restart running", "pause running", "unpause paused", "rename running other", "update running --memory 64M --pids 50 --cpuset 0", "update stopped --cpus 0.5",
            "run -d --restart always --init {image} web -- sleep 1000", "stop paused", "kill paused", "run --rm --internet {image} -- true", "stop running  # connected"]
# Those that only look, or only join what runs; the console changes things by other verbs.
LOOKING = {"images", "history", "df", "attach", "wait", "ps", "inspect", "diff", "volumes", "logs", "networks", "top", "stats", "sessions", "events", "console", "config",
           "completion", "version", "help"}


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


# ---- strace as the witness

def test_every_verb_is_known_to_change_something_or_not(conductor):
    verbs = set(re.findall(r"^  ([a-z]+) ", conductor.ok("help").split("Options for every verb")[0], re.M))
    assert verbs == {words.split()[0] for words in CHANGING} | LOOKING


def registry_for(verb, box, request):
    """A registry with an image, or with a password that logout knows; its host and port."""
    box.environment["REGISTRY_AUTH_FILE"] = str(box.directory / "auth.json")
    registry = Registry(box.directory / "registry", auth="htpasswd" if verb.startswith("log") else None)
    request.addfinalizer(registry.close)
    if verb == "pull":
        registry.fill(Image([box_layer(), tar({"hello": "hi\n"})]).write_layout(box.directory / "layout"), "web")
    if verb == "logout":
        box.ok("login", registry.host, "-u", "user", "--password-stdin", input="secret\n")
    return registry.host


@pytest.mark.parametrize("words", CHANGING)
def test_strace_shows_nothing_that_explain_does_not(box, words, request):
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode != 0:
        pytest.skip("strace does not work here")
    (box.directory / "motd").write_text("hello\n")
    (box.directory / "Conductorfile").write_text(f"FROM {box.image}\nENV A=1\nCOPY motd /etc/motd\nRUN echo hi > /hi\n"
                                                 "WORKDIR /some/where\n")
    if "running" in words:
        box.ok("run", "-d", box.image, "running", "--", "sleep", "1000")
    if "stopped" in words:
        box.ok("create", box.image, "stopped", "--", "sleep", "1000")
    if "volume" in words:
        box.ok("run", "--rm", "-v", "data:/d", box.image, "--", "true")
    if "connected" in words:
        if "stopped" not in words:
            box.ok("create", box.image, "stopped")
        box.ok("addnetwork", "running", "-i")
        box.ok("peer", "running", "stopped")
    if "paused" in words:
        box.ok("run", "-d", box.image, "paused", "--", "sleep", "1000")
        box.ok("pause", "paused")
    if "crashed" in words:
        box.ok("run", "-d", box.image, "crashed", "--", "sleep", "1000")
        pid = json.loads(box.ok("inspect", "crashed"))["pid"]
        os.kill(host.parent_of(pid), signal.SIGKILL)
        wait_until(lambda: host.is_gone(pid), 10, "PID 1 dies with its keeper")
    if words.startswith("load"):
        box.ok("save", box.image, "-o", box.directory / "image.tar")
        box.ok("rmi", box.image)
        box.ok("prune", "--force")
    if words.startswith("import"):
        (box.directory / "tree.tar").write_bytes(tar({"hello": "hi\n"}))
    host_of_images = registry_for(words.split()[0], box, request) if "{registry}" in words else ""
    words = words.partition("#")[0].format(image=box.image, directory=box.directory, registry=host_of_images)
    run = strace.Run(box, *words.split(), input="secret\n")
    assert run.status == 0, run.printed
    check_stream(run.events)
    assert not run.untold, "\n".join(run.untold)


def test_witness_sees_what_is_not_told(box):
    """The comparison itself: with one event taken away it must find what that event told."""
    run = strace.Run(box, "run", "--rm", box.image, "--", "true")
    told = [event for event in run.events if event["event"] == "call_began"]
    for name in ("mkdirat", "symlinkat", "bind", "pivot_root", "clone3", "setgroups", "mknodat"):
        without = [event for event in told if event["name"] != name]
        assert len(without) < len(told) and list(strace.compare(run.processes, without)), name
