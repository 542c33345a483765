"""Health checks: who is well, who finds it out, and what no check can do."""
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from support import host
from support.waiting import wait_until

FAST = ["--health-interval", "20ms", "--health-retries", "2"]
IDLE = ["--", "sleep", "1000"]


def inspect(box, name="web"):
    return json.loads(box.ok("inspect", name))


def health(box, name="web"):
    return inspect(box, name)["health_checks"]


def status(box, name="web"):
    return health(box, name)["status"]


def wait_for_status(box, wanted, name="web"):
    wait_until(lambda: status(box, name) == wanted, 20, lambda: f"{name} is {health(box, name)}, not {wanted}")


def run(box, check, *options, name="web", command=IDLE):
    box.ok("run", "-d", *FAST, "--health-cmd", check, *options, box.image, name, *command)


def told(box, name="web"):
    return [e["outcome"] for e in box.json("events") if e["name"] == name and e["verb"] == "health_status"]


def test_a_container_becomes_unhealthy_and_healthy_again(box):
    run(box, "test ! -e /ill || { echo 'it is ill'; exit 3; }")
    wait_for_status(box, "healthy")
    assert "(healthy)" in box.ok("ps") and box.json("ps")[0]["health"] == "healthy"
    box.ok("exec", "web", "--", "touch", "/ill")
    wait_for_status(box, "unhealthy")
    now = health(box)
    assert now["failing_streak"] >= 2 and len(now["log"]) <= 5
    assert (now["log"][-1]["exit_code"], now["log"][-1]["output"]) == (3, "it is ill\n")
    assert "(unhealthy)" in box.ok("ps")
    box.ok("exec", "web", "--", "rm", "/ill")
    wait_for_status(box, "healthy")
    assert told(box) == ["healthy", "unhealthy", "healthy"]
    assert box.ok("events", "--filter", "verb=health_status").count("health_status web") == 3


def test_one_without_a_check_has_none_and_nothing_is_stored(box):
    box.ok("run", "-d", box.image, "web", *IDLE)
    assert health(box) is None and box.json("ps")[0]["health"] is None
    assert "health" not in box.ok("ps")
    assert list(box.run_directory.glob("c/*/health")) == []


def test_ps_filters_by_health(box):
    run(box, "true", name="well")
    run(box, "false", name="ill")
    box.ok("run", "-d", "--health-cmd", "true", box.image, "young", *IDLE)
    box.ok("run", "-d", box.image, "plain", *IDLE)
    wait_for_status(box, "healthy", "well")
    wait_for_status(box, "unhealthy", "ill")
    for wanted, name in (("healthy", "well"), ("unhealthy", "ill"), ("starting", "young"), ("none", "plain")):
        assert box.ok("ps", "-q", "--filter", f"health={wanted}").split() == [name]
    assert "(health: starting)" in box.ok("ps", "--filter", "name=young")


def test_the_image_says_it_and_options_win(conductor):
    file = conductor.directory / "File"
    file.write_text('FROM busybox\nHEALTHCHECK --interval=20ms --retries=1 CMD ["test", "-e", "/no"]\n')
    conductor.ok("build", "ill", file)
    conductor.ok("run", "-d", "ill", "web", *IDLE)
    wait_for_status(conductor, "unhealthy")
    assert health(conductor)["log"][-1]["exit_code"] == 1
    conductor.ok("run", "-d", "--health-cmd", "true", "ill", "other", *IDLE)
    wait_for_status(conductor, "healthy", "other")
    known = inspect(conductor, "other")["spec"]["health"]
    assert known["interval_ns"] == 20_000_000 and known["test"] == ["CMD-SHELL", "true"]
    conductor.ok("run", "-d", "--no-healthcheck", "ill", "none", *IDLE)
    assert health(conductor, "none") is None


def test_a_check_runs_as_the_command_does(box):
    script = ("id -u; echo $KEY; pwd; grep -c . /proc/self/uid_map; grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status;"
              " head -c1 | wc -c; readlink /proc/self/fd | wc -l; ls /proc/self/fd | wc -l")
    run(box, script, "--env", "KEY=word", "-u", "1000:1000", "-w", "/tmp")
    wait_until(lambda: health(box)["log"], 20)
    through_exec = box.ok("exec", "web", "--", "sh", "-c", script)
    assert health(box)["log"][0]["output"] == through_exec
    assert through_exec.splitlines()[:3] == ["1000", "word", "/tmp"]


def test_a_hanging_check_is_ended_with_all_that_it_has_forked(box):
    run(box, "(setsid sleep 543 &) ; setsid sleep 543 & echo hangs; sleep 543", "--health-timeout", "300ms")
    wait_for_status(box, "unhealthy")
    last = health(box)["log"][-1]
    assert last["exit_code"] == -1 and last["output"].startswith("ended after 300 ms, its time-out: hangs")
    assert box.json("top", "web")[0]["command"] == "sleep 1000"
    # Between two checks nothing of the last one is left.
    wait_until(lambda: not [p for p in members(box) if "543" in p], 20, lambda: members(box))


def members(box):
    """Command lines of all that lives in the container, each process once; groups and processes come and go."""
    found = {}
    for group in host.cgroups(box.id()):
        if "keepers" in group:
            continue
        try:
            pids = Path(group, "cgroup.procs").read_text().split()
        except OSError:
            continue
        for pid in pids:
            try:
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
    return [each for each in found.values() if each]


def test_what_a_check_leaves_behind_ends_with_it(box):
    run(box, "setsid sleep 543 >/dev/null 2>&1 & true")
    wait_until(lambda: len(health(box)["log"]) == 5, 20)
    wait_until(lambda: not [p for p in members(box) if "543" in p], 20, lambda: members(box))
    assert all(each["exit_code"] == 0 for each in health(box)["log"])


def test_a_flooding_check_is_cut_and_does_not_hang(box):
    run(box, "yes 0123456789 | head -c 3000000; echo end >&2; exit 1")
    wait_for_status(box, "unhealthy")
    output = health(box)["log"][-1]["output"]
    assert len(output) == 4096 + 3 and output.endswith("...")


def test_output_that_is_no_text_can_be_shown(box):
    run(box, r"printf '\033[31m\377\000\001'; false")
    wait_for_status(box, "unhealthy")
    assert health(box)["log"][-1]["output"] == "\x1b[31m\ufffd\x00\x01"
    assert "\x1b" not in box.ok("inspect", "web")


def test_a_missing_program_is_named(box):
    run(box, '["/usr/bin/curl", "-f", "http://localhost/"]')
    wait_for_status(box, "unhealthy")
    last = health(box)["log"][-1]
    assert last["exit_code"] == 127 and "/usr/bin/curl" in last["output"]


def test_failures_in_the_start_period_do_not_count(box):
    run(box, "false", "--health-start-period", "1h", "--health-start-interval", "20ms", "--health-retries", "1")
    wait_until(lambda: len(health(box)["log"]) == 5, 20)
    assert status(box) == "starting" and health(box)["failing_streak"] == 0


def test_a_paused_container_is_not_checked_and_its_time_does_not_count(box):
    run(box, "echo begun > /begun; while [ ! -e /go ]; do sleep 0.01; done", "--health-timeout", "3s", "--health-retries", "1")
    wait_until(lambda: box.run("exec", "web", "--", "test", "-e", "/begun").returncode == 0, 20)
    box.ok("pause", "web")
    log = health(box)["log"]
    # Longer than the check may take.
    before = os.times().elapsed
    wait_until(lambda: os.times().elapsed - before > 3.5, 20)
    assert health(box)["log"] == log and status(box) == "starting"
    box.ok("unpause", "web")
    box.ok("exec", "web", "--", "touch", "/go")
    wait_for_status(box, "healthy")


def test_a_new_life_begins_with_starting(box):
    box.ok("run", "-d", "--restart", "always", *FAST, "--health-cmd", "test ! -e /ill", box.image, "web", "--", "sh", "-c",
           "trap 'exit 1' USR1; while :; do sleep 0.02; done")
    wait_for_status(box, "healthy")
    box.ok("exec", "web", "--", "touch", "/ill")
    wait_for_status(box, "unhealthy")
    # docker does not start an unhealthy container again either.
    assert inspect(box)["restart"]["count"] == 0
    os.kill(inspect(box)["pid"], signal.SIGUSR1)
    wait_until(lambda: inspect(box)["restart"]["count"] == 1 and box.state("web") == "running", 20)
    wait_for_status(box, "unhealthy")
    assert told(box) == ["healthy", "unhealthy", "unhealthy"]


def test_what_was_found_outlives_the_container_until_it_starts_again(box):
    run(box, "echo why; false")
    wait_for_status(box, "unhealthy")
    box.ok("stop", "--keep", "-t", "0", "web")
    assert health(box)["log"][-1]["output"] == "why\n"
    assert "unhealthy" not in box.ok("ps", "-a") and box.json("ps", "-a")[0]["health"] is None
    box.ok("start", "web")
    assert health(box)["failing_streak"] < 2 or wait_until(lambda: status(box) == "unhealthy", 20)


def test_foreground_containers_are_checked(box):
    process = box.start("run", *FAST, "--health-cmd", "echo well", box.image, "web", "--", "sh", "-c", "echo up; cat")
    assert process.stdout.readline() == "up\n"
    wait_for_status(box, "healthy")
    out, _ = process.communicate("", timeout=20)  # no check keeps a stream of the foreground open
    assert process.returncode == 0 and out == ""


def test_the_end_of_the_container_ends_its_check_and_says_nothing_of_health(box):
    run(box, "touch /begun; sleep 543", "--health-retries", "1")
    wait_until(lambda: box.run("exec", "web", "--", "test", "-e", "/begun").returncode == 0, 20)
    box.ok("stop", "--keep", "-t", "0", "web")
    assert status(box) == "starting" and health(box)["log"] == [] and told(box) == []
    assert host.processes_using(box.root, box.run_directory) == []


@pytest.mark.parametrize("whom", ["keeper", "checker"])
def test_a_kill_in_the_middle_of_a_check(box, whom):
    run(box, "touch /begun; setsid sleep 543 & sleep 543", "--health-retries", "1")
    wait_until(lambda: box.run("exec", "web", "--", "test", "-e", "/begun").returncode == 0, 20)
    keeper = inspect(box)["keeper"]
    checkers = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    checker = next(int(pid) for pid in checkers if int(pid) != inspect(box)["pid"])
    os.kill(keeper if whom == "keeper" else checker, signal.SIGKILL)
    if whom == "keeper":
        box.wait_for_state("web", "exited", 20)
        wait_until(lambda: not members(box), 20, lambda: members(box))
        assert [g for g in host.cgroups(box.id()) if g.endswith("/health")] == []
        box.ok("rm", "web")  # that nothing else of it is left is looked at when the test ends
        return
    wait_for_status(box, "unhealthy")
    assert health(box)["log"][-1]["output"] == "the process that checks was killed"
    # Three belong to the next check: its shell, and the two sleeps.
    wait_until(lambda: len([p for p in members(box) if "543" in p]) <= 3, 20, lambda: members(box))


def test_a_full_disk_does_not_hide_that_it_is_unhealthy(box):
    small = box.directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "small", small], check=True)
    box.root, box.run_directory = small / "root", small / "run"
    box.root_id = None
    box.busybox_image()
    try:
        run(box, "test ! -e /tmp/ill", "--tmpfs", "/tmp")
        wait_for_status(box, "healthy")
        with open(small / "fill", "wb") as fill, pytest.raises(OSError):
            while True:
                fill.write(b"x" * 65536)
                fill.flush()
        box.ok("exec", "web", "--", "touch", "/tmp/ill")
        wait_for_status(box, "unhealthy")
    finally:
        (small / "fill").unlink(missing_ok=True)
        box.remove_containers()
        wait_until(lambda: not host.processes_using(box.root, box.run_directory), 20)
        wait_until(lambda: subprocess.run(["umount", small]).returncode == 0, 20)


def test_what_cannot_be_is_refused(box):
    for words, said in ((["--health-cmd", ""], "the command is empty"), (["--health-interval", "x"], "'x' is no duration"),
                        (["--health-timeout", "10us"], "cannot be less than 1ms"),
                        (["--health-retries", "many"], "--health-retries"),
                        (["--no-healthcheck", "--health-cmd", "true"], "contradict each other")):
        assert said in box.fails("create", *words, box.image, status=2), words
    assert "neither the image nor --health-cmd" in box.fails("create", "--health-retries", "3", box.image)
    assert box.json("ps", "-a") == []
