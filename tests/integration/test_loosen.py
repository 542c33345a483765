"""Each default of the isolation has a flag that loosens it, and inspect tells from the kernel what is in force."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from support.program import is_zombie
from support.waiting import wait_until

IDLE = ["--", "sleep", "1000"]
MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware"]  # those that this kernel has


def in_force(box, name="web"):
    return json.loads(box.ok("inspect", name))["in_force"]


def start(box, *options):
    box.ok("run", "-d", *options, box.image, "web", *IDLE)
    return in_force(box)


def test_by_default_everything_is_its_own(box):
    known = start(box)
    assert set(known["namespaces"].values()) == {"own"} and len(known["namespaces"]) == 7
    assert set(known["paths"]["masked"]) >= {path for path in MASKED if os.path.exists(path)} != set()
    assert {"/proc/sys", "/proc/irq"} <= set(known["paths"]["read_only"])
    assert known["root_read_only"] is False
    assert (known["apparmor"] is None) == (not Path("/sys/module/apparmor").exists())


@pytest.mark.parametrize("options,shared", [
    (["--userns", "host"], {"user"}), (["--network", "host"], {"network"}), (["--uts", "host"], {"uts"}),
    (["--ipc", "host"], {"ipc"}), (["--userns", "host", "--pid", "host"], {"user", "pid"}),
    (["--userns", "host", "--cgroupns", "host"], {"user", "cgroup"})], ids=" ".join)
def test_a_namespace_that_is_shared_is_told_and_joined_by_exec(box, options, shared):
    known = start(box, *options)
    assert {name for name, whose in known["namespaces"].items() if whose == "host"} == shared
    inside = box.ok("exec", "web", "--", "sh", "-c", "cd /proc/self/ns; for n in mnt pid net uts ipc cgroup user; do readlink $n; done").split()
    pid = json.loads(box.ok("inspect", "web"))["pid"]
    theirs = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "pid", "net", "uts", "ipc", "cgroup", "user")]
    assert inside == theirs


def test_with_the_hosts_processes_it_sees_them_and_its_own_end_with_it(box):
    box.ok("run", "-d", "--userns", "host", "--pid", "host", box.image, "web", "--", "sh", "-c",
           "setsid sleep 654 & trap 'exit 3' TERM; while :; do sleep 0.05; done")
    assert box.ok("exec", "web", "--", "cat", f"/proc/{os.getpid()}/comm").strip() == Path("/proc/self/comm").read_text().strip()
    group = Path("/sys/fs/cgroup")
    group = next(path for path in (group, group / "unified") if (path / "conductor").is_dir())
    procs = group / json.loads(box.ok("inspect", "web"))["in_force"]["cgroup"] / "cgroup.procs"
    members = wait_until(lambda: [p for p in procs.read_text().split() if "654" in Path(f"/proc/{p}/cmdline").read_text()], 10)
    assert "killed" not in box.ok("stop", "--keep", "web")
    assert box.json("ps", "-a")[0]["exit_code"] == 3
    wait_until(lambda: all(is_zombie(pid) for pid in members), 10, "its other processes are dead")  # the host's init reaps them


def test_with_the_hosts_processes_it_still_reaches_none_of_them(box):
    start(box, "--userns", "host", "--pid", "host")
    other = subprocess.Popen(["sleep", "1000"])
    try:
        for path in ("root/", "mem", "environ", "cwd/"):
            assert box.run("exec", "web", "--", "ls" if path.endswith("/") else "cat", f"/proc/{other.pid}/{path}").returncode != 0
    finally:
        other.kill()
        other.wait()


def test_with_the_hosts_name_it_has_that_and_cannot_change_it(box):
    start(box, "--uts", "host")
    assert box.ok("exec", "web", "--", "hostname").strip() == os.uname().nodename
    assert box.run("exec", "web", "--", "hostname", "other").returncode != 0
    assert os.uname().nodename == box.ok("exec", "web", "--", "hostname").strip()


def test_with_the_hosts_ipc_it_shares_memory_and_queues(box):
    mark = Path(f"/dev/shm/conductor-test-{os.getpid()}")
    mark.write_text("here")
    mark.chmod(0o644)
    try:
        start(box, "--ipc", "host")
        assert box.ok("exec", "web", "--", "cat", str(mark)) == "here"
        assert box.run("exec", "web", "--", "sh", "-c", f"echo x > {mark}").returncode != 0  # the owner is the host's root
    finally:
        mark.unlink()
    assert in_force(box)["namespaces"]["ipc"] == "host"


def test_mask_hides_files_and_directories(box):
    known = start(box, "--mask", "/etc/passwd:/usr", "--mask", "/no/such/thing", "--mask", "/proc/version")
    assert {"/etc/passwd", "/usr", "/proc/version"} <= set(known["paths"]["masked"])
    for path in ("/etc/passwd", "/proc/version"):
        assert box.ok("exec", "web", "--", "cat", path) == ""
    assert box.ok("exec", "web", "--", "ls", "/usr") == ""
    assert box.run("exec", "web", "--", "umount", "/usr").returncode != 0


def test_unmask_shows_what_it_names_and_nothing_else(box):
    known = start(box, "--unmask", "/proc/interrupts:/proc/sys")
    assert "/proc/interrupts" not in known["paths"]["masked"]
    assert set(known["paths"]["masked"]) >= {path for path in MASKED if os.path.exists(path)}
    assert "/proc/sys" not in known["paths"]["read_only"] and "/proc/irq" in known["paths"]["read_only"]
    assert box.ok("exec", "web", "--", "cat", "/proc/interrupts") != ""


def test_unmask_takes_patterns_and_all(box):
    known = start(box, "--unmask", "/proc/*")
    assert not [p for p in known["paths"]["masked"] + known["paths"]["read_only"] if p.startswith("/proc")]
    assert "/sys/firmware" in known["paths"]["masked"]
    box.ok("rm", "-f", "web")
    known = start(box, "--unmask", "ALL", "--mask", "/proc/version")
    assert known["paths"] == {"masked": ["/proc/version"], "read_only": []}


def test_what_cannot_be_is_refused_with_a_sentence(box):
    for words, said in ((["--pid", "host"], "--userns host too"), (["--cgroupns", "host"], "--userns host too"),
                        (["--pid", "host", "--userns", "host", "--init"], "leave out one of both"),
                        (["--ipc", "host", "--shm-size", "1M"], "leave out one of both"),
                        (["--uts", "host", "--hostname", "x"], "leave out one of both"), (["--pid", "web"], "private|host"),
                        (["--unmask", "/proc/kcor"], "did you mean '/proc/kcore'"), (["--unmask", "/etc"], "nothing there is masked"),
                        (["--mask", "etc"], "not absolute"), (["--mask", "/"], "whole root directory"),
                        (["--security-opt", "seccomp=unconfined"], "--unmask")):
        assert said in box.fails("create", *words, box.image, status=2), words
    assert box.json("ps", "-a") == []
