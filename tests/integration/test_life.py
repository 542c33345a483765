"""pause, unpause, restart, rename: what becomes of containers that are there."""
import json
import os
import time

import pytest
from support import host
from support.gate import Gated
from support.waiting import wait_until

SLEEP = ["--", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"]
COUNT = ["--", "sh", "-c", "trap 'exit 3' TERM; trap 'echo heard' USR1; n=0; "
                           "while :; do n=$((n+1)); echo $n > /n; sleep 0.01; done"]


def row(box, name):
    return next((c for c in box.json("ps", "-a") if c["name"] == name), None)


def events(box):
    return [(e["verb"], e["name"], e["outcome"]) for e in box.json("events")]


def number(box, name):
    """What the counting container has counted to, read without entering it."""
    identity = row(box, name)["id"]
    return (box.root / "containers/id" / identity / "rw/upper/n").read_text()


# ---- pause

def test_paused_container_stands_still_and_goes_on(box):
    box.ok("run", "-d", box.image, "web", *COUNT)
    wait_until(lambda: number(box, "web").strip(), 10, "it counts")
    assert box.ok("pause", "web") == "web\n"
    assert (row(box, "web")["state"], json.loads(box.ok("inspect", "web"))["state"]) == ("paused", "paused")
    assert "paused, up" in box.ok("ps")
    before = number(box, "web")
    assert before == number(box, "web")
    box.ok("stats", "web")  # and takes its time
    assert before == number(box, "web")
    assert box.ok("unpause", "web") == "web\n"
    assert box.state("web") == "running"
    wait_until(lambda: number(box, "web") not in ("", before), 10, "it counts on")
    assert [("pause", "web", "done"), ("unpause", "web", "done")] == [e for e in events(box) if "pause" in e[0]]


def test_paused_container_says_so_where_it_cannot_be_asked(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    box.ok("pause", "web")
    for verb, status in ((["exec", "web", "--", "true"], 125), (["attach", "web"], 1), (["start", "web"], 1),
                         (["pause", "web"], 1)):
        message = box.fails(*verb, status=status)
        assert "paused" in message and "conductor unpause web" in message, message
    box.ok("unpause", "web")
    assert "'web' is not paused" in box.fails("unpause", "web")


@pytest.mark.parametrize("how", ["created", "exited"])
def test_only_what_runs_can_be_paused(box, how):
    box.ok("create", box.image, "web", "--", "true")
    if how == "exited":
        box.ok("start", "web")
        box.wait_for_state("web", "exited")
    assert "'web' is not running" in box.fails("pause", "web")
    assert "'web' is not paused" in box.fails("unpause", "web")
    assert "no container named 'nobody'" in box.fails("pause", "nobody")


def test_several_are_paused_and_a_failure_keeps_none_from_it(box):
    for name in ("a", "b"):
        box.ok("run", "-d", box.image, name, *SLEEP)
    done = box.run("pause", "a", "nobody", "b")
    assert (done.returncode, done.stdout) == (1, "a\nb\n")
    assert (box.state("a"), box.state("b")) == ("paused", "paused")


def test_stop_of_a_paused_container_lets_it_end_by_itself(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    box.ok("pause", "web")
    box.ok("stop", "--keep", "web")
    assert (row(box, "web")["state"], row(box, "web")["exit_code"]) == ("exited", 3)


@pytest.mark.parametrize("verb", [["kill"], ["rm", "-f"], ["stop", "-t", "0", "--keep"]], ids=lambda verb: verb[0])
def test_paused_container_is_ended_by_force(box, verb):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    box.ok("pause", "web")
    box.ok(*verb, "web")
    if verb[0] == "rm":
        assert box.state("web") is None
        return
    box.wait_for_state("web", "exited")
    assert row(box, "web")["exit_code"] == 137
    box.ok("start", "web")
    assert box.state("web") == "running"


def test_signal_waits_until_the_container_goes_on(box):
    box.ok("run", "-d", box.image, "web", *COUNT)
    wait_until(lambda: number(box, "web").strip(), 10, "its traps are set")
    box.ok("pause", "web")
    done = box.run("kill", "-s", "USR1", "web")
    assert done.returncode == 0 and "gets the signal when it goes on" in done.stderr
    assert box.ok("logs", "web") == ""
    box.ok("unpause", "web")
    wait_until(lambda: box.ok("logs", "web") == "heard\n", 10, "it heard the signal")


def test_commit_of_a_paused_container_leaves_it_paused(box):
    box.ok("run", "-d", box.image, "web", *COUNT)
    box.ok("pause", "web")
    box.ok("commit", "web", "image")
    assert box.state("web") == "paused"
    before = number(box, "web")
    box.ok("stats", "web")
    assert before == number(box, "web")


@pytest.mark.parametrize("verb", ["pause", "unpause"])
def test_pause_that_is_killed_anywhere_is_done_or_not_done(box, verb):
    """What the state says is what the kernel does, from the next command on."""
    box.ok("run", "-d", box.image, "web", *SLEEP)
    identity = row(box, "web")["id"]
    [frozen] = [file for group in host.cgroups(box.id()) if group.endswith(identity)
                if os.path.exists(file := f"{group}/cgroup.freeze")]

    def prepare():
        wanted = "running" if verb == "pause" else "paused"
        if box.state("web") != wanted:
            box.ok({"running": "unpause", "paused": "pause"}[wanted], "web")

    prepare()
    counting = Gated(box, verb, "web")
    assert counting.drive(lambda call: "go")[0] == 0
    for point in range(len(counting.calls)):
        prepare()
        assert Gated(box, verb, "web").kill_before(point)
        state = box.state("web")
        where = f"killed before {counting.calls[point]['call']}: {state}"
        assert state in ("running", "paused"), where
        with open(frozen) as file:
            assert file.read().strip() == {"running": "0", "paused": "1"}[state], where


@pytest.mark.parametrize("verb", ["pause", "unpause"])
def test_pause_that_is_stopped_at_a_call_rolls_back(box, verb):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    if verb == "unpause":
        box.ok("pause", "web")
    before = box.state("web")
    counting = Gated(box, verb, "web")
    assert counting.drive(lambda call: "go")[0] == 0
    box.ok({"pause": "unpause", "unpause": "pause"}[verb], "web")
    for point in range(len(counting.calls) - 1):  # behind the last one all is done but the history
        asked = iter(range(len(counting.calls) + 20))
        status, _, error = Gated(box, verb, "web").drive(lambda call: "abort" if next(asked) == point else "go")
        assert status != 0 and error, counting.calls[point]
        assert box.state("web") == before, counting.calls[point]


# ---- restart

def test_restart_is_another_life_with_the_same_files(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    box.ok("exec", "web", "--", "touch", "/kept")
    before = row(box, "web")
    assert box.ok("restart", "web") == "web\n"
    after = row(box, "web")
    assert after["state"] == "running" and after["id"] == before["id"] and after["pid"] != before["pid"]
    box.ok("exec", "web", "--", "test", "-e", "/kept")
    assert ("exit", "web", "exit 3") in events(box) and ("restart", "web", "done") in events(box)


@pytest.mark.parametrize("how", ["created", "exited", "paused"])
def test_restart_starts_what_does_not_run(box, how):
    box.ok("create", box.image, "web", *SLEEP)
    if how != "created":
        box.ok("start", "web")
    if how == "exited":
        box.ok("stop", "--keep", "web")
    if how == "paused":
        box.ok("pause", "web")
    box.ok("restart", "web")
    assert box.state("web") == "running"


def test_restart_gives_the_grace_that_was_asked_for(box):
    box.ok("run", "-d", box.image, "web", "--", "sh", "-c", "trap 'echo no' TERM; while :; do sleep 0.05; done")
    began = time.monotonic()
    box.ok("restart", "-t", "1", "web")
    assert time.monotonic() - began < 9
    assert ("exit", "web", "exit 137") in events(box)
    box.fails("restart", "-t", "soon", "web", status=2)


def test_restart_refuses_what_its_end_would_remove(box):
    box.ok("run", "-d", "--rm", box.image, "web", *SLEEP)
    message = box.fails("restart", "web")
    assert "'web' was made with --rm" in message and "hint: " in message
    assert box.state("web") == "running"
    assert "no container named" in box.fails("restart", "nobody")


def test_restart_that_cannot_start_says_so(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    box.ok("exec", "web", "--", "sh", "-c", "rm /bin/sh")
    message = box.fails("restart", "-t", "0", "web")
    assert "cannot start 'web'" in message
    assert box.state("web") == "exited"


# ---- rename

def test_renamed_container_is_found_by_its_new_name_only(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    before = row(box, "web")
    assert box.ok("rename", "web", "shop") == "shop\n"
    after = row(box, "shop")
    assert (after["id"], after["pid"], after["state"]) == (before["id"], before["pid"], "running")
    assert row(box, "web") is None
    assert "no container named 'web'" in box.fails("exec", "web", "--", "true", status=125)
    assert ("rename", "shop", "was web") in events(box)
    box.ok("run", "-d", box.image, "web", *SLEEP)  # the old name is free
    box.ok("restart", "shop")
    assert box.ok("exec", "shop", "--", "hostname") == "shop\n"


def test_host_name_that_was_chosen_stays(box):
    box.ok("create", "--hostname", "chosen", box.image, "web", *SLEEP)
    box.ok("rename", "web", "shop")
    box.ok("start", "shop")
    assert box.ok("exec", "shop", "--", "hostname") == "chosen\n"


def test_rename_refuses_what_cannot_be(box):
    for name in ("a", "b"):
        box.ok("create", box.image, name)
    assert "a container named 'b' exists already" in box.fails("rename", "a", "b")
    assert "'a' is called that already" in box.fails("rename", "a", "a")
    assert "no container named 'nobody'" in box.fails("rename", "nobody", "c")
    assert "use 'upper'" in box.fails("rename", "a", "UPPER", status=2)
    box.fails("rename", "a", "../x", status=2)
    box.fails("rename", "a", status=2)
    assert sorted(c["name"] for c in box.json("ps", "-a")) == ["a", "b"]


def test_peers_find_a_renamed_container_by_its_new_name(box):
    for name in ("web", "db"):
        box.ok("run", "-d", box.image, name, *SLEEP)
    box.ok("peer", "web", "db")
    box.ok("rename", "web", "shop")
    for name in ("db", "shop"):
        hosts = box.ok("exec", name, "--", "cat", "/etc/hosts")
        assert "shop" in hosts.split() and "web" not in hosts.split(), hosts
    assert row(box, "db")["networks"][0]["peers"] == ["shop"]
    box.ok("exec", "db", "--", "ping", "-c", "1", "-w", "5", "shop")
    box.ok("unpeer", "shop", "db")


def test_rename_that_is_killed_anywhere_leaves_one_container_and_free_names(box):
    box.ok("create", box.image, "web", *SLEEP)
    counting = Gated(box, "rename", "web", "shop")
    assert counting.drive(lambda call: "go")[0] == 0
    box.ok("rename", "shop", "web")
    for point in range(len(counting.calls)):
        assert Gated(box, "rename", "web", "shop").kill_before(point)
        [(name, other)] = [(c["name"], {"web": "shop", "shop": "web"}[c["name"]]) for c in box.json("ps", "-a")]
        box.ok("create", box.image, other)  # is free
        box.ok("rm", other)
        if name == "shop":
            box.ok("rename", "shop", "web")
    box.ok("rm", "web")
    assert box.json("ps", "-a") == []


def test_rename_that_is_stopped_at_a_call_rolls_back(box):
    box.ok("create", box.image, "web", *SLEEP)
    counting = Gated(box, "rename", "web", "shop")
    assert counting.drive(lambda call: "go")[0] == 0
    box.ok("rename", "shop", "web")
    for point in range(len(counting.calls)):
        asked = iter(range(len(counting.calls) + 20))
        status, _, _ = Gated(box, "rename", "web", "shop").drive(lambda call: "abort" if next(asked) == point else "go")
        assert (status, box.state("web"), box.state("shop")) == (1, "created", None), counting.calls[point]
