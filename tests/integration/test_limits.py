"""Limits: kept by the kernel before the command's first instruction, changed while it runs, shown as they are."""
import json
import os
import re
from pathlib import Path

import pytest
from support import gate, host
from support.waiting import wait_until

V1 = {"io": "blkio"}
MIB = 1 << 20


@pytest.fixture
def box(conductor):
    conductor.busybox_image("box")
    return conductor


@pytest.fixture
def web(box):
    box.ok("run", "-d", "box", "web", "--", "sleep", "1000")
    return box


def group_file(box, name, controller, v1_file, v2_file):
    """The file of a container's group that keeps a limit, wherever this host has it."""
    path = f"conductor/{box.id()}/{box.json('inspect', name)['id']}"
    v1 = Path("/sys/fs/cgroup", V1.get(controller, controller))
    if (v1 / path).is_dir() and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return v1 / path / v1_file
    return Path("/sys/fs/cgroup", path, v2_file)


def limits(box, name):
    return box.json("inspect", name)["limits"]


def whole_disk():
    """A disk of this host: the kernel limits no partitions."""
    for disk in sorted(Path("/sys/block").iterdir()):
        if Path("/dev", disk.name).is_block_device():
            return f"/dev/{disk.name}"
    pytest.skip("this host has no disk")


# ---- before the first instruction


def test_the_first_thing_a_command_sees_are_its_limits(box):
    script = "grep Cpus_allowed_list /proc/self/status; cat /proc/self/oom_score_adj; df -k /dev/shm | tail -1; ulimit -n"
    out = box.ok("run", "--rm", "box", "--cpuset", "0", "--oom-score-adj", "700", "--shm-size", "3M", "--ulimit", "nofile=77",
                 "--", "sh", "-c", script).split()
    assert out[1] == "0" and out[2] == "700" and "3072" in out and out[-1] == "77"


def test_whoever_forks_first_of_all_is_refused(box):
    done = box.run("run", "--rm", "box", "--pids", "1", "--", "sh", "-c", "true | true")
    assert done.returncode != 0 and "can't fork" in done.stderr


def test_every_limit_is_written_before_the_command_is_executed(box):
    done = box.run("--explain=json", "run", "--rm", "box", "--memory", "64M", "--cpus", "0.5", "--cpuset", "0", "--pids", "9",
                   "--cpu-weight", "50", "--memory-reservation", "1M", "--io-read-bps", whole_disk() + ":1M", "--", "true")
    assert done.returncode == 0, done.stderr
    calls = [e["call"] for e in map(json.loads, done.stderr.splitlines()) if e["event"] == "call_began"]
    execution = next(i for i, call in enumerate(calls) if call.startswith("execve"))
    before = "\n".join(calls[:execution])
    for file in ("memory.(limit_in_bytes|max)", "memory.(soft_limit_in_bytes|low)", "cpu.(cfs_quota_us|max)", "cpu.(shares|weight)",
                 "cpuset.cpus", "pids.max", "(blkio.throttle.read_bps_device|io.max)"):
        assert re.search(file, before), f"{file} is written first:\n{before}"


def test_exec_is_limited_as_the_container_is(box):
    box.ok("run", "-d", "box", "web", "--cpuset", "0", "--oom-score-adj", "300", "--ulimit", "nofile=50:60", "--", "sleep", "1000")
    out = box.ok("exec", "web", "--", "sh", "-c", "grep Cpus_allowed_list /proc/self/status; cat /proc/self/oom_score_adj; ulimit -Hn")
    assert out.split()[1:] == ["0", "300", "60"]


# ---- shown as the kernel has them


def test_inspect_shows_what_the_kernel_keeps(box):
    disk = whole_disk()
    box.ok("run", "-d", "box", "web", "--memory", "64M", "--memory-swap", "96M", "--memory-reservation", "32M", "--cpus", "0.5",
           "--cpu-weight", "50", "--cpuset", "0", "--pids", "30", "--io-read-bps", f"{disk}:10M", "--io-write-iops", f"{disk}:100",
           "--", "sleep", "1000")
    shown = limits(box, "web")
    wanted = {"memory_bytes": 64 * MIB, "memory_swap_bytes": 96 * MIB, "memory_reservation_bytes": 32 * MIB, "cpus": 0.5,
              "cpu_weight": 50, "cpuset": "0", "pids": 30, "io_read_bps": [{"device": disk, "rate": 10 * MIB}], "io_read_iops": [],
              "io_write_iops": [{"device": disk, "rate": 100}]}
    assert {key: shown[key] for key in wanted} == wanted
    assert shown["ulimits"]["core"] == {"soft": 0, "hard": 0} and shown["shm_bytes"] == 64 * MIB
    # Somebody else's word counts too, for it is what holds.
    group_file(box, "web", "pids", "pids.max", "pids.max").write_text("31")
    assert limits(box, "web")["pids"] == 31
    assert box.json("ps")[0]["limits"] == {"memory_bytes": 64 * MIB, "cpus": 0.5, "pids": 30}


def test_memory_alone_allows_as_much_swap_again(box):
    box.ok("run", "-d", "box", "web", "--memory", "32M", "--", "sleep", "1000")
    assert limits(box, "web")["memory_swap_bytes"] == 64 * MIB
    box.ok("update", "web", "--memory-swap", "max")
    assert limits(box, "web")["memory_swap_bytes"] is None


# ---- update


def test_update_changes_a_running_container(web):
    disk = whole_disk()
    document = web.json("update", "web", "--memory", "64M", "--cpus", "0.5", "--pids", "20", "--cpuset", "0", "--io-write-bps", f"{disk}:5M")
    assert document[0]["name"] == "web" and document[0]["limits"]["pids"] == 20
    shown = limits(web, "web")
    assert (shown["memory_bytes"], shown["cpus"], shown["pids"], shown["cpuset"]) == (64 * MIB, 0.5, 20, "0")
    assert shown["io_write_bps"] == [{"device": disk, "rate": 5 * MIB}]
    # It holds for what ran already, also where its v1 group was made for it.
    pid = web.json("ps")[0]["pid"]
    assert re.search(r"^Cpus_allowed_list:\s0$", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert "can't fork" in web.run("exec", "web", "--", "sh", "-c", "for i in $(seq 30); do sleep 100 & done").stderr


def test_what_update_does_not_name_stays_and_max_takes_away(box):
    box.ok("run", "-d", "box", "web", "--memory", "64M", "--cpus", "0.5", "--pids", "30", "--", "sleep", "1000")
    box.ok("update", "web", "--pids", "max", "--cpus", "max")
    shown = limits(box, "web")
    assert (shown["memory_bytes"], shown["cpus"], shown["pids"]) == (64 * MIB, None, None)


def test_memory_goes_up_and_down_in_one_step(box):
    """v1 refuses memory above memory and swap together at any moment between."""
    box.ok("run", "-d", "box", "web", "--memory", "32M", "--", "sleep", "1000")
    for size in ("256M", "16M", "1G", "max", "64M"):
        box.ok("update", "web", "--memory", size)
    shown = limits(box, "web")
    assert (shown["memory_bytes"], shown["memory_swap_bytes"]) == (64 * MIB, 128 * MIB)


def test_update_of_a_stopped_container_holds_at_its_start(web):
    web.ok("stop", "web", "--keep")
    web.ok("update", "web", "--pids", "17", "--cpus", "0.25")
    assert limits(web, "web")["pids"] == 17
    web.ok("start", "web")
    assert (limits(web, "web")["pids"], limits(web, "web")["cpus"]) == (17, 0.25)


def test_update_outlives_a_restart(web):
    web.ok("update", "web", "--pids", "18")
    web.ok("stop", "web", "--keep")
    web.ok("start", "web")
    assert limits(web, "web")["pids"] == 18


def test_several_containers_at_once(web):
    web.ok("run", "-d", "box", "two", "--", "sleep", "1000")
    done = web.run("update", "web", "nobody", "two", "--pids", "19")
    assert done.returncode == 1 and "no container named 'nobody'" in done.stderr
    assert [limits(web, name)["pids"] for name in ("web", "two")] == [19, 19]


def test_memory_that_is_in_use_is_not_taken_away(box):
    """Nobody is killed for it, and what was changed before it is changed back."""
    box.ok("run", "-d", "box", "web", "--memory", "256M", "--cpus", "0.5", "--", "sh", "-c",
           "x=$(yes | head -c 40000000); echo full; while sleep 100; do :; done")
    wait_until(lambda: "full" in box.ok("logs", "web"), 30, "its memory is full")
    before = limits(box, "web")
    said = box.fails("update", "web", "--memory", "8M", "--memory-swap", "2G", "--cpus", "2", "--pids", "40")
    assert "set --memory" in said
    assert limits(box, "web") == before and box.state("web") == "running"
    assert box.json("inspect", "web")["spec"]["limits"] == {"memory_bytes": 256 * MIB, "cpus": 0.5}


def abort_at(box, victim):
    """An update under the gate whose victim-th write into the group is aborted; its exit status."""
    seen = 0

    def decide(event):
        nonlocal seen
        seen += "/conductor/" in event["call"]
        return "abort" if "/conductor/" in event["call"] and seen == victim else "go"

    return gate.Gated(box, "update", "web", "--memory", "128M", "--pids", "10", "--cpu-weight", "20").drive(decide)[0]


def test_an_update_that_is_aborted_anywhere_changes_nothing(box):
    box.ok("run", "-d", "box", "web", "--memory", "64M", "--cpu-weight", "70", "--pids", "30", "--", "sleep", "1000")
    before = limits(box, "web")
    for victim in range(1, 20):
        if abort_at(box, victim) == 0:
            break
        assert limits(box, "web") == before, f"aborted at the write {victim}"
    assert victim > 3 and limits(box, "web")["pids"] == 10


def test_an_update_that_is_killed_anywhere_can_be_given_again(box):
    box.ok("run", "-d", "box", "web", "--memory", "64M", "--cpu-weight", "70", "--pids", "30", "--", "sleep", "1000")
    options = ["--memory", "96M", "--pids", "25", "--cpu-weight", "40"]
    for number in range(50):
        box.ok("update", "web", "--memory", "64M", "--pids", "30", "--cpu-weight", "70")
        if not gate.Gated(box, "update", "web", *options).kill_before(number):
            break
        assert box.state("web") == "running"
        box.ok("update", "web", *options)
        shown = limits(box, "web")
        assert (shown["memory_bytes"], shown["pids"], shown["cpu_weight"]) == (96 * MIB, 25, 40), f"killed before the call {number}"
    assert 3 < number < 49


def test_update_is_in_the_history(web):
    web.ok("update", "web", "--pids", "21")
    assert any(e["verb"] == "update" and e["name"] == "web" for e in web.json("events"))


# ---- refused with a reason


NEVER = [
    ("--memory 1K", "512K is the least"), ("--memory-swap 64M", "says nothing without --memory"),
    ("--memory 64M --memory-swap 32M", "cannot be less than --memory"), ("--memory 64M --memory-reservation 65M", "above --memory"),
    ("--cpus 0", "--cpus"), ("--cpus 9000", "between 0.01 and 8192"), ("--pids 0", "lets nothing start"),
    ("--cpu-weight 0", "between 1 and 10000"), ("--io-weight 20000", "at most 10000"),
    ("--cpuset 3-1", "numbers and ranges"), ("--cpuset-mems x", "numbers and ranges"),
    ("--io-read-bps 10M", "/dev/vda:10M"), ("--io-read-bps /dev/vda:", "/dev/vda:10M"),
    ("--io-write-iops /dev/vda:1M", "--io-write-iops"), ("--io-write-bps /dev/vda:0", "nothing would move"),
    ("--cpu-shares 512", "--cpu-weight 100 is docker's"), ("--device-read-bps /dev/vda:1M", "--io-read-bps"),
    ("--cpuset-cpus 0", "--cpuset"), ("--blkio-weight 500", "--io-weight")]


def test_what_cannot_be_kept_anywhere_is_wrong_usage(web):
    for options, said in NEVER:
        assert said in web.fails("update", "web", *options.split(), status=2), options
        assert said in web.fails("run", "box", "no", *options.split(), "--", "true", status=2), options
    assert web.state("no") is None


def test_limits_of_processes_are_checked_too(box):
    for options, said in [("--ulimit nofiles=3", "did you mean 'nofile'"), ("--ulimit nofile=9:3", "above"),
                          ("--ulimit nofile=x", "--ulimit"), ("--oom-score-adj 1001", "between -1000 and 1000"),
                          ("--oom-score-adj x", "--oom-score-adj"), ("--shm-size 0", "--shm-size"), ("--shm-size 1", "4K at least")]:
        assert said in box.fails("run", "box", "no", *options.split(), "--", "true", status=2), options
    assert box.state("no") is None


def test_what_is_given_at_the_start_only_is_told(web):
    for option in ("--ulimit", "--oom-score-adj", "--shm-size"):
        assert "start" in web.fails("update", "web", option, "1", status=2)


def test_what_this_host_does_not_have_is_named(web):
    for options, said in [("--cpuset 0-8191", "this host has the CPUs"), ("--cpuset-mems 777", "this host has the memory nodes"),
                          ("--io-read-bps /dev/null:1M", "/dev/null is no disk"),
                          ("--io-read-bps /dev/nothing:1M", "look at the disk /dev/nothing")]:
        assert said in web.fails("update", "web", *options.split()), options
        assert said in web.fails("run", "box", "no", *options.split(), "--", "true", status=125), options
    assert web.state("no") is None


def test_update_without_limits_is_wrong_usage(web):
    assert "needs a limit" in web.fails("update", "web", status=2)


def test_a_limit_above_what_this_host_gives_is_lowered_aloud(box):
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    done = box.run("run", "--rm", "box", "--ulimit", f"nofile=64:{most + 1}", "--", "sh", "-c", "ulimit -Hn")
    assert done.returncode == 0 and f"--ulimit nofile={most + 1}: this host lets nobody have more than {done.stdout.strip()}" in done.stderr


def test_a_weight_that_nobody_looks_at_is_said(box):
    schedulers = [f.read_text() for f in Path("/sys/block").glob("*/queue/scheduler")]
    done = box.run("run", "--rm", "box", "--io-weight", "200", "--", "true")
    if done.returncode != 0:
        assert "--io-weight cannot be kept" in done.stderr  # no controller knows weights here
    else:
        assert ("has no effect now" in done.stderr) == (not any("[bfq]" in s for s in schedulers))


# ---- out of memory and throttling are told


def test_who_was_ended_for_memory_is_in_the_history(box):
    box.run("run", "box", "web", "--memory", "16M", "--", "sh", "-c", "x=$(yes | head -c 100000000)")
    ends = [e["outcome"] for e in box.json("events") if e["verb"] == "exit"]
    # The kernel's log, which says who it was, is not readable everywhere.
    assert ends == ["exit 137: out of memory" + (" ('sh' killed)" if os.access("/dev/kmsg", os.R_OK) else "")]
    assert "exited 137 (out of memory)" in box.ok("ps", "-a")


def test_who_is_killed_for_memory_is_told_at_that_moment(box):
    """PID 1 lives on, and whoever looks sees it: events, inspect, and who it was where the kernel's log can be read."""
    box.ok("run", "-d", "box", "web", "--memory", "16M", "--", "sh", "-c",
           "while :; do test -e /eat && rm /eat && (x=$(yes | head -c 100000000)); sleep 0.02; done")
    assert json.loads(box.ok("inspect", "web"))["felt_limits"]["oom_kills"] == 0

    def told():
        return [e["outcome"] for e in box.json("events") if e["verb"] == "oom" and e["name"] == "web"]
    box.ok("exec", "web", "--", "touch", "/eat")
    wait_until(lambda: len(told()) == 1, 20, "it is told")
    box.ok("exec", "web", "--", "touch", "/eat")
    wait_until(lambda: len(told()) == 2, 20, "it is told again")
    felt = json.loads(box.ok("inspect", "web"))["felt_limits"]
    assert felt["oom_kills"] == 2 and box.state("web") == "running"
    if os.access("/dev/kmsg", os.R_OK):
        pids = [victim["host_pid"] for victim in felt["oom_victims"]]
        assert told() == [f"'sh' (pid {pid}) killed for lack of memory" for pid in pids]
    else:
        assert told() == ["a process killed for lack of memory"] * 2


def test_stats_show_how_often_it_was_throttled(box):
    box.ok("run", "-d", "box", "web", "--cpus", "0.05", "--", "sh", "-c", "while :; do :; done")
    wait_until(lambda: box.json("stats", "web")[0]["throttled_percent"] > 30, 20, "it is throttled")
    assert "THROTTLED" in box.ok("stats", "web")
    felt = json.loads(box.ok("inspect", "web"))["felt_limits"]
    assert 0 < felt["cpu_throttled_periods"] <= felt["cpu_periods"] and felt["cpu_throttled_milliseconds"] > 0


def test_an_update_shows_in_the_statistics(box):
    """Its cpu group of v1 is made while it runs."""
    box.ok("run", "-d", "box", "web", "--", "sh", "-c", "while :; do :; done")
    box.ok("update", "web", "--cpus", "0.05")
    wait_until(lambda: box.json("stats", "web")[0]["throttled_percent"] > 30, 20, "it is throttled")


def test_nothing_of_these_groups_stays(web):
    web.ok("update", "web", "--cpus", "0.5", "--cpuset", "0", "--io-read-bps", f"{whole_disk()}:1M")
    web.ok("stop", "web")
    wait_until(lambda: host.cgroups(web.id()) == [], 10, "all of its groups are gone")


def test_doctor_says_what_limits_this_host_can_keep(conductor):
    found = {c["check"]: c for c in conductor.json("doctor")}
    assert found["swap"]["health"] in ("ok", "weak") and found["weights"]["health"] in ("ok", "weak")
    for name, option in [("swap", "--memory-swap"), ("weights", "--io-weight")]:
        assert (option in found[name]["cure"]) == (found[name]["health"] == "weak")
