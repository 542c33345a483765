"""Many containers, and many verbs at once: none gets in another's way, and nothing is left of any.

$CONDUCTOR_MANY is how many come and go (1000 where there is time), $CONDUCTOR_STANDING how many stand at once (200).
"""
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support import host
from test_crash import entries, nothing_remains

MANY = int(os.environ.get("CONDUCTOR_MANY", "48"))
STANDING = int(os.environ.get("CONDUCTOR_STANDING", "32"))
AT_ONCE = 16
SLEEP = ["--", "sleep", "1000"]


def all_at_once(work, count):
    """work(number) for all of them, AT_ONCE at a time; their results."""
    with ThreadPoolExecutor(AT_ONCE) as workers:
        return list(workers.map(work, range(count)))


def cgroup_count():
    """Groups of the whole host, those included that are removed and not yet given back (/proc/cgroups, cgroups(7))."""
    return max(int(line.split()[2]) for line in Path("/proc/cgroups").read_text().splitlines()[1:])


def kept_by(box):
    """Private kilobytes and descriptors of each keeper."""
    found = []
    for line in host.processes_using(box.root, box.run_directory):
        process = Path("/proc") / line.split()[0]
        if (process / "exe").resolve() == box.program.resolve():
            rollup = (process / "smaps_rollup").read_text()
            private = sum(int(each.split()[1]) for each in rollup.splitlines() if each.startswith(("Private_Clean:", "Private_Dirty:")))
            found.append((private, len(list((process / "fd").iterdir()))))
    return found


def test_many_come_and_go(box):
    """Each is created, started, stopped and kept, started again, and removed."""
    groups, mounts, links = cgroup_count(), host.mounts(), host.links()

    def life(number):
        name = f"n{number}"
        box.ok("create", box.image, name, *SLEEP)
        box.ok("start", name)
        box.ok("stop", "--keep", "-t", "0", name)
        box.ok("start", name)
        assert box.ok("exec", name, "--", "cat", "/proc/1/comm") == "sleep\n"
        box.ok("stop", "-t", "0", name)

    all_at_once(life, MANY)
    assert box.json("ps", "-a") == []
    nothing_remains(box)
    assert entries(box.root / "containers/name") == entries(box.root / "containers/id") == []
    assert (host.mounts(), host.links()) == (mounts, links)
    assert not [mount for mount in host.all_mounts() if str(box.directory) in mount]
    assert cgroup_count() < groups + MANY, "groups are given back"


def test_many_stand_at_once(box):
    all_at_once(lambda number: box.ok("run", "-d", box.image, f"n{number}", *SLEEP), STANDING)
    first = kept_by(box)
    assert len([c for c in box.json("ps") if c["state"] == "running"]) == STANDING
    all_at_once(lambda number: box.ok("exec", f"n{number}", "--", "true"), STANDING)
    later = kept_by(box)
    assert len(first) == len(later) == STANDING
    for when, found in (("first", first), ("later", later)):
        private = sorted(kilobytes for kilobytes, _ in found)
        print(f"{STANDING} keepers, {when}: {private[0]} to {private[-1]} KiB private, {sorted({n for _, n in found})} descriptors")
    # Each keeper is as small with many beside it as it is alone, and commands that came and went have left nothing in it.
    assert max(private for private, _ in later) <= 2 * min(private for private, _ in first)
    assert {descriptors for _, descriptors in later} == {descriptors for _, descriptors in first}
    all_at_once(lambda number: box.ok("rm", "-f", f"n{number}"), STANDING)
    nothing_remains(box)


def test_runs_without_a_name_find_one_each(box):
    out = all_at_once(lambda number: box.ok("run", "--rm", box.image, "--", "hostname"), MANY)
    assert all(name.startswith(f"{box.image}-") for name in out)
    assert box.json("ps", "-a") == []
    nothing_remains(box)


def test_first_commands_of_a_new_root_at_once(conductor):
    """Nothing is there yet: each may be the one that makes the directories, the image, the range of ids."""
    out = all_at_once(lambda number: conductor.ok("run", "--rm", "busybox", "--", "echo", number), AT_ONCE)
    assert out == [f"{number}\n" for number in range(AT_ONCE)]
    nothing_remains(conductor)


def test_starts_at_once_do_not_wait_for_each_other(box):
    """A lock that is held over a wait would show: together they take at most as long as one after the other, however
    few processors there are."""
    for number in range(AT_ONCE):
        box.ok("create", box.image, f"n{number}", *SLEEP)
    begin = time.monotonic()
    for number in range(AT_ONCE):
        box.ok("start", f"n{number}")
    alone = time.monotonic() - begin
    for number in range(AT_ONCE):
        box.ok("stop", "--keep", "-t", "0", f"n{number}")
    begin = time.monotonic()
    all_at_once(lambda number: box.ok("start", f"n{number}"), AT_ONCE)
    together = time.monotonic() - begin
    print(f"{AT_ONCE} starts: {alone:.3f} s one after the other, {together:.3f} s at once, {os.cpu_count()} processors")
    assert together < 3 * alone
    assert len(box.json("ps")) == AT_ONCE


def test_verbs_on_one_container_at_once(box):
    """Each works or says why not; in the end the container is in one state, and nothing beside it is left."""
    box.ok("create", box.image, "web", *SLEEP)
    verbs = [["start", "web"], ["stop", "--keep", "-t", "0", "web"], ["exec", "web", "--", "true"], ["kill", "web"]]
    done = all_at_once(lambda number: box.run(*verbs[number % len(verbs)]), 32)
    for each in done:
        killed = "exec" in each.args and each.returncode == 128 + 9  # its command, with all the others
        assert each.returncode == 0 or killed or "conductor: " in each.stderr, each
        assert "should not have happened" not in each.stderr
    assert box.state("web") in ("running", "exited", "created")
    box.ok("rm", "-f", "web")
    nothing_remains(box)
