"""Crashes: whatever is killed, wherever it stands, the next command finds out, says so, and cleans up after it."""
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support import host
from support.gate import Gated
from support.host import is_gone, parent_of
from support.waiting import wait_until

SLEEP = ["--", "sleep", "1000"]


def truth(conductor, name):
    """Everything known about one container."""
    return json.loads(conductor.ok("inspect", name))


def row(conductor, name):
    return next(c for c in conductor.json("ps", "-a") if c["name"] == name)


def entries(directory):
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def remains(conductor):
    """What containers that do not run have left: groups, run directories, ranges of user ids, unfinished directories."""
    running = {c["id"] for c in conductor.json("ps")}
    ranges = conductor.run_directory / "ids"
    return ([g for g in host.cgroups(conductor.id())
             if os.path.basename(g) not in {conductor.id(), "keepers"} | running]
            + [f"run directory {e}" for e in entries(conductor.run_directory / "c") if e not in running]
            + [f"range {e}" for e in entries(ranges) if os.readlink(ranges / e) not in running]
            + [f"unfinished {e}" for e in entries(conductor.root / "tmp")])


def nothing_remains(conductor, where=""):
    """Soon: what is removed goes out of sight at once and is taken apart behind the verb."""
    wait_until(lambda: not remains(conductor), 10, lambda: f"{where}: {remains(conductor)}")


def wait_until_alone(conductor):
    """Until nobody of this root runs but the keepers and processes of running containers: roll-back is over."""
    def alone():
        kept = set()
        for container in conductor.json("ps"):
            known = truth(conductor, container["name"])
            kept |= {known["pid"], known["keeper_pid"]} if "keeper_pid" in known else {known["pid"]}
        return len(host.processes_using(conductor.root, conductor.run_directory)) <= len(kept)
    wait_until(alone, 10, lambda: "\n".join(host.processes_using(conductor.root, conductor.run_directory)))


def keeper_of(conductor, name):
    """The pid of the process that keeps a container."""
    return parent_of(row(conductor, name)["pid"])


def kill_keeper(conductor, name):
    """SIGKILL to the keeper, and it is dead when this returns; its container may be dying still."""
    keeper = keeper_of(conductor, name)
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: is_gone(keeper), 10, "the keeper is dead")


# ---- the keeper

def test_container_dies_with_its_keeper_and_the_next_command_says_so(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    pid = row(box, "web")["pid"]
    kill_keeper(box, "web")
    wait_until(lambda: is_gone(pid), 10, "PID 1 dies with its keeper")
    web = row(box, "web")
    assert (web["state"], web["pid"], web["exit_code"]) == ("exited", 0, 137)
    assert "keeper was killed" in json.dumps(truth(box, "web"))
    nothing_remains(box)


def test_container_whose_keeper_was_killed_starts_again(box):
    box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "echo again >> /kept; exec sleep 1000")
    kill_keeper(box, "web")
    box.wait_for_state("web", "exited")
    box.ok("start", "web")
    assert box.state("web") == "running"
    wait_until(lambda: box.ok("exec", "web", "--", "cat", "/kept") == "again\nagain\n", 10, "both runs wrote")


@pytest.mark.parametrize("verb", [["start"], ["stop"], ["stop", "--keep"], ["rm"], ["wait"], ["inspect"], ["exec"],
                                  ["logs"], ["kill"], ["top"], ["attach"]], ids=" ".join)
def test_every_verb_on_a_container_whose_keeper_was_killed(box, verb):
    """The first command after the crash is this one; none hangs, and none leaves anything."""
    box.ok("run", "-d", box.image, "web", *SLEEP)
    kill_keeper(box, "web")
    done = box.run(*verb, "web", timeout=20)
    expected = {"start": 0, "stop": 0, "rm": 0, "wait": 137, "inspect": 0, "exec": 125, "logs": 0}.get(verb[0], 1)
    assert done.returncode == expected, done.stderr
    assert box.state("web") == {"start": "running", "rm": None}.get(verb[0], None if verb == ["stop"] else "exited")
    nothing_remains(box)


def test_background_processes_of_a_container_die_with_its_keeper(box):
    box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "sleep 2000 & sleep 3000 & wait")
    wait_until(lambda: len(box.json("top", "web")) == 3, 10, "three processes")
    pids = [p["host_pid"] for p in box.json("top", "web")]
    kill_keeper(box, "web")
    wait_until(lambda: all(is_gone(pid) for pid in pids), 10, "all of them are gone")


def test_rm_container_with_a_killed_keeper_disappears_at_the_next_command(box):
    box.ok("run", "-d", "--rm", box.image, "web", *SLEEP)
    kill_keeper(box, "web")
    assert box.state("web") is None
    nothing_remains(box)
    assert any("keeper was killed" in e["outcome"] for e in box.json("events"))


def test_command_of_an_exec_dies_with_its_verb(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    verb = box.start("exec", "web", "--", "sleep", "2000")
    wait_until(lambda: len(box.json("top", "web")) == 2, 10, "the command runs")
    verb.kill()
    verb.communicate()
    wait_until(lambda: len(box.json("top", "web")) == 1, 10, "the command is gone")
    assert box.state("web") == "running"


@pytest.mark.parametrize("options", [[], ["-d"], ["--session"]], ids=lambda words: " ".join(words) or "in front")
def test_keeper_of_an_exec_has_its_later_children_outside(box, options):
    """Only the command is born in the container: what else its keeper may start must not be seen or killed there."""
    box.ok("run", "-d", box.image, "web", *SLEEP)
    verb = box.start("exec", *options, "web", "--", "sleep", "2000")

    def command():
        return next((p["host_pid"] for p in box.json("top", "web") if p["command"] == "sleep 2000"), None)
    pid = wait_until(command, 10, "the command runs")
    keeper = parent_of(pid)
    outside = os.readlink("/proc/self/ns/pid")
    wait_until(lambda: os.readlink(f"/proc/{keeper}/ns/pid_for_children") == outside, 5, "it has come back")
    os.kill(pid, signal.SIGKILL)
    verb.communicate(timeout=10)
    assert verb.returncode == (0 if options else 137)


# ---- ranges of ids

def first_id(conductor, name):
    return int(Path(f"/proc/{row(conductor, name)['pid']}/uid_map").read_text().split()[1])


def test_ranges_stay_apart_when_the_pool_of_ids_is_changed(box):
    """Two pools that share a range, which is the second of one and the only one of the other."""
    configs = []
    for pool in ("655360000-655425535", "655294464-655425535"):
        configs.append(box.directory / f"config-{pool}.json")
        configs[-1].write_text(json.dumps({"id_pool": pool}))
    old, new = configs
    box.ok("--config", old, "run", "-d", box.image, "before", *SLEEP)
    box.ok("--config", new, "run", "-d", box.image, "after", *SLEEP)
    assert (first_id(box, "before"), first_id(box, "after")) == (655360000, 655294464)
    assert "all are taken" in box.fails("--config", new, "run", "-d", box.image, "third", *SLEEP, status=125)
    kill_keeper(box, "before")
    box.ok("--config", new, "ps")
    box.ok("--config", new, "run", "-d", box.image, "third", *SLEEP)
    assert (first_id(box, "after"), first_id(box, "third")) == (655294464, 655360000)
    for name in ("after", "third"):
        box.ok("stop", "-t", "0", name)
    nothing_remains(box)


def test_ranges_that_lie_across_each_other_are_not_used_at_once(box):
    configs = []
    for pool in ("655360000-655425535", "655392768-655523839"):
        configs.append(box.directory / f"config-{pool}.json")
        configs[-1].write_text(json.dumps({"id_pool": pool}))
    box.ok("--config", configs[0], "run", "-d", box.image, "before", *SLEEP)
    box.ok("--config", configs[1], "run", "-d", box.image, "after", *SLEEP)
    assert first_id(box, "after") == 655392768 + 65536


# ---- run in the foreground

def test_foreground_run_that_is_killed_takes_its_container_along(box):
    verb = box.start("run", box.image, "web", *SLEEP)
    box.wait_for_state("web", "running")
    pid = row(box, "web")["pid"]
    verb.kill()
    verb.communicate()
    wait_until(lambda: is_gone(pid), 10, "PID 1 is gone")
    assert box.state("web") == "exited"
    assert "keeper was killed" in json.dumps(truth(box, "web"))
    nothing_remains(box)


def test_foreground_run_on_a_terminal_that_is_killed_takes_its_container_along(box):
    screen = box.screen("run", "-t", box.image, "web", *SLEEP)
    box.wait_for_state("web", "running")
    pid = row(box, "web")["pid"]
    screen.signal(signal.SIGKILL)
    screen.wait()
    wait_until(lambda: is_gone(pid), 10, "PID 1 is gone")
    assert box.state("web") == "exited"
    nothing_remains(box)


def test_stop_from_elsewhere_ends_a_foreground_run(box):
    verb = box.start("run", box.image, "web", "--", "sh", "-c", "sleep 2000 & sleep 3000 & wait")
    wait_until(lambda: box.state("web") == "running" and len(box.json("top", "web")) == 3, 10, "three processes")
    pids = [p["host_pid"] for p in box.json("top", "web")]
    box.ok("stop", "-t", "0", "web")
    assert verb.wait(timeout=10) == 137
    verb.communicate()
    assert box.state("web") is None
    assert all(is_gone(pid) for pid in pids)
    nothing_remains(box)


def test_all_processes_are_gone_when_stop_returns(box):
    box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "trap 'exit 0' TERM; sleep 2000 & sleep 3000 & wait")
    box.ok("exec", "-d", "web", "--", "sleep", "4000")
    wait_until(lambda: len(box.json("top", "web")) == 4, 10, "four processes")
    pids = [p["host_pid"] for p in box.json("top", "web")]
    box.ok("stop", "--keep", "web")
    assert [pid for pid in pids if not is_gone(pid)] == []
    assert row(box, "web")["exit_code"] == 0
    nothing_remains(box)


# ---- removing what has just ended

def test_rm_of_a_running_container_is_refused_in_words(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    assert box.fails("rm", "web").splitlines() == ["conductor: 'web' is running; stop it first, or rm -f",
                                                   "hint: conductor stop web, or conductor rm -f web"]
    assert box.state("web") == "running"


def test_rm_right_after_the_end_works(box):
    for _ in range(10):
        box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "sleep 2000 & sleep 3000 & wait")
        box.ok("kill", "web")
        box.ok("rm", "web")
    nothing_remains(box)


@pytest.mark.parametrize("verb", [["rm"], ["rm", "-f"], ["stop"], ["stop", "--keep"]], ids=" ".join)
def test_container_whose_output_nobody_reads_has_ended_all_the_same(box, verb):
    """What our reader has not taken is kept for it; neither the end nor who removes the container waits for that."""
    reading = box.start("run", box.image, "web", "--", "sh", "-c", "head -c 100000 /dev/zero; exit 3")
    box.wait_for_state("web", "exited")
    assert row(box, "web")["exit_code"] == 3
    box.ok(*verb, "web")
    out, error = reading.communicate(timeout=10)
    assert (len(out), error, reading.returncode) == (100000, "", 3)


def test_container_whose_keeper_is_stopped_is_not_called_running(box):
    verb = box.start("run", box.image, "web", *SLEEP)
    box.wait_for_state("web", "running")
    pid = row(box, "web")["pid"]
    verb.send_signal(signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid), 10, "PID 1 is dead")
    message = box.fails("rm", "web", timeout=30)
    assert f"'web' has ended, but its keeper (process {verb.pid}) does not get on" in message
    box.ok("rm", "-f", "web", timeout=40)
    assert verb.wait(timeout=10) == -signal.SIGKILL
    verb.communicate()
    nothing_remains(box)


# ---- another boot

def test_container_of_another_boot_has_exited(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    box.ok("stop", "--keep", "-t", "0", "web")
    file = box.root / "containers/id" / row(box, "web")["id"] / "status.json"
    status = json.loads(file.read_text())
    # As a host that lost its power leaves it; the pid is somebody else's by now.
    status.update(state="running", boot_id="00000000-0000-4000-8000-000000000000", pid=os.getpid(), keeper=os.getpid())
    file.write_text(json.dumps(status))
    web = row(box, "web")
    assert (web["state"], web["pid"], web["exit_code"]) == ("exited", 0, None)
    assert "host restarted" in json.dumps(truth(box, "web"))
    assert "exited unknown (host restarted)" in box.ok("ps", "-a")
    assert "nobody saw how: host restarted" in box.fails("wait", "web", status=125)
    box.ok("start", "web")
    assert box.state("web") == "running"


# ---- two at once

def test_operation_on_a_busy_container_is_refused_with_verb_and_pid(box):
    box.ok("create", box.image, "web", *SLEEP)
    seen = []

    def decide(call):
        if call["name"] == "clone3" and not seen:
            seen.append(box.fails("--wait", "0", "rm", "web"))
        return "go"

    gated = Gated(box, "start", "web")
    status, _, error = gated.drive(decide)
    assert status == 0, error
    assert f"'start' (pid {gated.process.pid})" in seen[0]
    assert box.state("web") == "running"


def test_operation_waits_for_the_one_before_it(box):
    box.ok("create", box.image, "web", *SLEEP)
    waiting = []

    def decide(call):
        if call["name"] == "clone3" and not waiting:
            waiting.append(box.start("rm", "-f", "web"))
        return "go"

    status, _, error = Gated(box, "start", "web").drive(decide)
    assert status == 0, error
    _, error = waiting[0].communicate(timeout=20)
    # It was ordered behind the start: either it met a running container and stopped it, or says that it was started.
    assert (waiting[0].returncode == 0 and box.state("web") is None) or "started meanwhile" in error
    nothing_remains(box)


def test_of_two_starts_at_once_one_wins(box):
    box.ok("create", box.image, "web", *SLEEP)
    verbs = [box.start("start", "web") for _ in range(4)]
    errors = [verb.communicate(timeout=30)[1] for verb in verbs]
    assert sorted(verb.returncode for verb in verbs) == [0, 1, 1, 1]
    assert sum("running already" in error for error in errors) == 3
    assert box.state("web") == "running"


def test_of_two_runs_with_one_name_one_wins(box):
    verbs = [box.start("run", "-d", box.image, "web", *SLEEP) for _ in range(4)]
    errors = [verb.communicate(timeout=30)[1] for verb in verbs]
    assert sorted(verb.returncode for verb in verbs) == [0, 125, 125, 125], errors
    assert [c["name"] for c in box.json("ps", "-a")] == ["web"]
    assert box.state("web") == "running"
    nothing_remains(box)


# ---- killed at every point

def crash_everywhere(box, prepare, *arguments, everybody, points=16, again=True):
    """Kills the verb before `points` of its calls, one after the other, and looks each time at what remains after
    the next command and `doctor --fix`; then what was killed must work. again: prepare() anew before each."""
    prepare()
    counting = Gated(box, *arguments)
    assert counting.kill_before(10**6) is False
    assert counting.status == 0, counting.error
    total = len(counting.calls)
    points = min(points, total)
    for point in sorted({index * (total - 1) // (points - 1) for index in range(points)}):
        if again:
            box.remove_containers()
            prepare()
        gated = Gated(box, *arguments)
        gated.kill_before(point, everybody)
        where = f"killed before call {point} of {total}: {gated.calls[-1]['call']}"
        wait_until_alone(box)
        box.ok("ps", "-a")
        box.ok("doctor", "--fix")
        nothing_remains(box, where)
        assert not [m for m in host.all_mounts() if str(box.directory) in m], where
        yield where
    box.remove_containers()


@pytest.mark.parametrize("everybody", [False, True], ids=["the verb", "everybody"])
def test_killed_run_in_the_background(box, everybody):
    for where in crash_everywhere(box, lambda: None, "run", "-d", box.image, "web", *SLEEP, everybody=everybody):
        if box.state("web") is not None:
            box.ok("rm", "-f", "web")
        assert box.run("run", "--rm", box.image, "web", "--", "true").returncode == 0, where
        assert box.json("ps", "-a") == [], where


@pytest.mark.parametrize("everybody", [False, True], ids=["the verb", "everybody"])
def test_killed_start(box, everybody):
    for where in crash_everywhere(box, lambda: box.ok("create", box.image, "web", *SLEEP), "start", "web",
                                  everybody=everybody):
        state = box.state("web")
        assert state in ("created", "exited", "running"), where
        if state != "running":
            box.ok("start", "web")
        assert box.run("exec", "web", "--", "true").returncode == 0, where


def test_killed_stop(box):
    for where in crash_everywhere(box, lambda: box.ok("run", "-d", box.image, "web", *SLEEP), "stop", "-t", "0", "web",
                                  everybody=False):
        assert box.state("web") in (None, "running", "exited"), where
        box.run("stop", "-t", "0", "web")
        assert box.state("web") is None, where


def test_killed_exec(box):
    for where in crash_everywhere(box, lambda: box.ok("run", "-d", box.image, "web", *SLEEP), "exec", "web", "--", "true",
                                  everybody=False, again=False):
        assert box.state("web") == "running", where
        wait_until(lambda: len(box.json("top", "web")) == 1, 10, where)
        assert box.run("exec", "web", "--", "true").returncode == 0, where


@pytest.mark.parametrize("everybody", [False, True], ids=["the verb", "everybody"])
def test_killed_build(box, everybody):
    file = box.directory / "Conductorfile"
    file.write_text(f"FROM {box.image}\nRUN echo made > /made\n")

    def prepare():
        box.run("rmi", "made")
        box.ok("rmcache")

    before = [i["name"] for i in box.json("images")]
    for where in crash_everywhere(box, prepare, "build", "made", file, everybody=everybody, points=14):
        assert [i["name"] for i in box.json("images") if i["name"] not in before] in ([], ["made:latest"]), where
        assert "tmp" not in box.ok("images"), where
        box.ok("build", "made", file)
        assert box.ok("run", "--rm", "made", "--", "cat", "/made") == "made\n", where


# ---- what ends in order leaves nothing either

@pytest.mark.parametrize("verb", [("commit", "web", "new"), ("export", "web", "-o", "tree.tar")], ids=lambda verb: verb[0])
@pytest.mark.parametrize("after", [("exec", "web", "--", "true"), ("ps",), ("stop", "web")], ids=lambda after: after[0])
def test_container_that_a_killed_reader_left_standing_still_goes_on(box, verb, after):
    box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.01; done")
    words = [box.directory / word if word.endswith(".tar") else word for word in verb]
    gated = Gated(box, *words)
    assert gated.drive(lambda call: "go")[0] == 0
    [_, end] = [n for n, call in enumerate(gated.calls) if "cgroup.freeze" in call["call"]]
    container = box.json("inspect", "web")["id"]
    [frozen] = [file for group in host.cgroups(box.id()) if group.endswith(container)
                if (file := Path(group) / "cgroup.freeze").exists()]
    assert Gated(box, *words).kill_before(end)
    assert frozen.read_text() == "1\n"
    done = box.run(*after, timeout=30)
    assert done.returncode == 0, done.stderr
    if after[0] == "stop":
        return
    wait_until(lambda: frozen.read_text() == "0\n", 5, "it goes on")
    box.ok("stop", "web")
    box.ok("doctor", "--fix")
    nothing_remains(box)


def test_last_container_that_wrote_something_takes_the_groups_along(box):
    box.run("run", box.image, "web", "--", "touch", "/written")
    box.ok("rm", "web")
    wait_until(lambda: box.leftovers() == [], 5, lambda: box.leftovers())
