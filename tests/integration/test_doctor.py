"""doctor: each kind of thing that a crash may leave is found and, with --fix, removed; what runs, what is another root's
and what has no mark of ours stays."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from support import host
from support.program import Conductor
from support.waiting import wait_until
from test_crash import kill_keeper, nothing_remains, row

SLEEP = ["--", "sleep", "1000"]
OTHERS = "other state directories"
GHOST = "0123456789abcdef" * 2  # the id of a container that is in no store


@pytest.fixture
def box(conductor):
    conductor.image = conductor.busybox_image()
    conductor.ok("run", "-d", conductor.image, "by", *SLEEP)
    conductor.ok("addnetwork", "by")
    conductor.bystander = facts(conductor, "by")
    yield conductor
    assert facts(conductor, "by") == conductor.bystander
    assert conductor.ok("exec", "by", "--", "echo", "well") == "well\n"


def facts(box, name):
    container = row(box, name)
    return container["state"], container["pid"], container["networks"]


def found(box, *options):
    """What doctor says of leftovers, a line each."""
    lines = [f["found"] for f in json.loads(box.run("doctor", *options, "--json").stdout) if f["check"] == "leftovers"]
    return [line for line in lines if not line.startswith(OTHERS)]


def test_what_the_host_gives_to_isolation_is_told(box):
    said = {f["check"]: f for f in json.loads(box.run("doctor", "--json").stdout)}
    assert said["devices"]["found"].startswith("device rules")  # or nothing would start here
    heat = os.path.exists("/sys/devices/system/cpu/cpu0/thermal_throttle") and os.cpu_count() > 128
    assert (said["heat"]["health"] == "weak") == heat
    assert (said["kernel-log"]["health"] == "ok") == os.access("/dev/kmsg", os.R_OK)


def check_found_and_removed(box, kind, what):
    """Listed as what it is, and gone after --fix."""
    assert [line for line in found(box) if kind in line and str(what) in line], found(box)
    assert [line for line in found(box, "--fix") if line.startswith("removed: ") and kind in line and str(what) in line]
    assert not [line for line in found(box) if kind in line]
    nothing_remains(box)


def test_nothing_is_found_where_nothing_is(box):
    assert found(box) == ["nothing is left of crashed operations"]


def test_control_group_with_a_process(box):
    groups = [Path(group).parent / GHOST for group in host.cgroups(box.id()) if group.endswith("/keepers")]
    for group in groups:
        group.mkdir()
        for file in ("cpuset.cpus", "cpuset.mems"):  # v1 takes nobody into a group without
            if (group / file).exists():
                (group / file).write_text((group.parent / file).read_text())
    process = subprocess.Popen(["sleep", "1000"])
    for group in groups:
        (group / "cgroup.procs").write_text(str(process.pid))
    check_found_and_removed(box, "control group", GHOST)
    assert process.wait(timeout=10) == -9
    assert not [group for group in groups if group.exists()]


def test_run_directory_range_and_number_of_a_link(box):
    (box.run_directory / "c" / GHOST).mkdir()
    (box.run_directory / "c" / GHOST / "keeper").write_text("")
    os.symlink(GHOST, box.run_directory / "ids" / "805240832")
    os.symlink(GHOST, box.root / "network" / "777")
    lines = found(box)
    for kind in ("run directory", "range of user ids: 805240832", "number of a link: 777"):
        assert [line for line in lines if kind.replace(":", "") in line], lines
    found(box, "--fix")
    assert found(box)[0] == "nothing is left of crashed operations"
    assert not os.path.lexists(box.root / "network" / "777")
    assert not os.path.lexists(box.run_directory / "ids" / "805240832")
    assert not (box.run_directory / "c" / GHOST).exists()


def test_unfinished_directory(box):
    (box.root / "tmp/0f0f0f0f/diff").mkdir(parents=True)
    (box.root / "tmp/0f0f0f0f/diff/file").write_text("half")
    check_found_and_removed(box, "unfinished directory", "tmp/0f0f0f0f")


def test_mount(box):
    """None of ours is ever on the host; this one somebody made by hand."""
    for name in ("lower", "upper", "work", "place"):
        (box.root / "by-hand" / name).mkdir(parents=True)
    top = box.root / "by-hand"
    subprocess.run(["mount", "-t", "overlay", "conductor", "-o", f"lowerdir={top}/lower,upperdir={top}/upper,workdir={top}/work",
                    f"{top}/place"], check=True)
    check_found_and_removed(box, "mount", top / "place")
    assert not [mount for mount in host.mounts() if str(top) in mount]


def test_link_that_is_not_noted(box):
    """Its container runs on, without a network; then it may have one again."""
    box.ok("run", "-d", box.image, "web", *SLEEP)
    box.ok("addnetwork", "web")
    web = row(box, "web")
    link = web["networks"][0]["host_interface"]
    (box.run_directory / "c" / web["id"] / "link").unlink()
    check_found_and_removed(box, "link", link)
    wait_until(lambda: link not in host.links(), 10, "the link is gone")
    assert row(box, "web")["pid"] == web["pid"]
    box.ok("addnetwork", "web")
    assert row(box, "web")["networks"][0]["host_interface"] in host.links()


def test_rules_of_a_link_that_is_gone(box):
    mark = f"conductor {box.id()} {GHOST} ghost"
    subprocess.run(["nft", "add", "element", "inet", "conductor", "internet", f'{{ "cond999" comment "{mark}" }}'], check=True)
    box.ok("doctor", "--fix")
    assert GHOST not in subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def test_container_without_a_process(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    pid = row(box, "web")["pid"]
    kill_keeper(box, "web")
    wait_until(lambda: host.is_gone(pid), 10, "its PID 1 dies with its keeper")
    check_found_and_removed(box, "container without a process", "web")
    assert box.state("web") == "exited"


def test_what_is_another_roots_is_said_and_stays(box):
    other = Conductor()
    try:
        image = other.busybox_image()
        other.ok("run", "-d", image, "theirs", *SLEEP)
        other.ok("addnetwork", "theirs")
        before = facts(other, "theirs"), host.cgroups(other.id())
        ghosts = [Path(group).parent / GHOST for group in host.cgroups(other.id()) if group.endswith("/keepers")]
        for group in ghosts:
            group.mkdir()
        said = box.run("doctor").stdout
        assert [line for line in said.splitlines() if OTHERS in line and other.id() in line], said
        found(box, "--fix")
        assert all(group.exists() for group in ghosts)
        other.ok("doctor", "--fix")
        assert (facts(other, "theirs"), host.cgroups(other.id())) == before
    finally:
        other.close()


def test_what_has_no_mark_of_ours_stays(box):
    subprocess.run(["ip", "link", "add", "cond998", "type", "veth", "peer", "name", "mine998"], check=True)
    subprocess.run(["nft", "add", "table", "inet", "somebody"], check=True)
    place = box.root / "mine"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "somebody", place], check=True)
    try:
        (place / "file").write_text("mine")
        found(box, "--fix")
        assert "cond998" in host.links()
        assert "table inet somebody" in subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        assert (place / "file").read_text() == "mine"
    finally:
        subprocess.run(["umount", place], check=True)
        subprocess.run(["nft", "delete", "table", "inet", "somebody"], check=True)
        subprocess.run(["ip", "link", "delete", "cond998"], check=True)
