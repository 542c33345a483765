"""Volumes: of the host, with a name, of an image, in memory. Whose their files are, what is read-only, where they appear,
and that they go when they should and only then."""
import ctypes
import json
import os
import re
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from support.program import Conductor
from support.waiting import wait_until

RECIPE = """FROM busybox
RUN mkdir -p /data/sub && echo from-image > /data/file && ln /data/file /data/hard && ln -s file /data/soft && chown 33:44 /data && chmod 2750 /data && chown 55 /data/sub
RUN echo second > /data/sub/later
RUN ln -s / /out && ln -s ../../../.. /up && mkdir /real && ln -s /real /alias
"""


@pytest.fixture(scope="module")
def shared():
    program = Conductor()
    (program.directory / "R").write_text(RECIPE)
    program.ok("build", "image", program.directory / "R")
    (program.directory / "V").write_text("FROM image\nVOLUME /data /empty\n")
    program.ok("build", "asking", program.directory / "V")
    yield program
    program.close()


@pytest.fixture
def box(shared):
    yield shared
    shared.remove_containers()
    for name in shared.ok("volumes", "-q").split():
        shared.ok("rmvolume", name)
    wait_until(lambda: list((shared.root / "tmp").iterdir()) == [])  # run --rm removes empty containers behind itself


@pytest.fixture
def place(shared):
    """A directory of this test's own."""
    path = Path(tempfile.mkdtemp(dir=shared.directory))
    path.chmod(0o755)
    return path


def run(box, *words):
    """What a command in a container of its own says; the command stands behind --."""
    return box.ok("run", "--rm", "image", *words)


# ---- of the host

def test_files_of_the_host_keep_their_owners_both_ways(box, place):
    os.chown(place, 1000, 1000)
    (place / "theirs").write_text("x")
    os.chown(place / "theirs", 1000, 1000)
    said = run(box, "-v", f"{place}:/v", "-u", "1000", "--", "sh", "-c", "stat -c %u:%g /v /v/theirs; echo new > /v/new")
    assert said == "1000:1000\n1000:1000\n" and (place / "new").stat().st_uid == 1000
    run(box, "-v", f"{place}:/v", "--", "touch", "/v/roots")
    assert (place / "roots").stat().st_uid == 0
    run(box, "-v", f"{place}/theirs:/one", "--", "sh", "-c", "echo y > /one")
    assert (place / "theirs").read_text() == "y\n" and (place / "theirs").stat().st_uid == 1000


def test_read_only_means_all_that_is_mounted_below(box, place):
    (place / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place / "below"], check=True)
    try:
        (place / "below/seen").write_text("seen\n")
        os.chown(place / "below/seen", 1000, 1000)
        said = box.run("run", "--rm", "image", "-v", f"{place}:/v:ro", "--", "sh", "-c",
                       "cat /v/below/seen; stat -c %u /v/below/seen; touch /v/x; touch /v/below/x")
        assert said.stdout == "seen\n1000\n" and said.stderr.count("Read-only file system") == 2
        run(box, "-v", f"{place}:/v", "--", "touch", "/v/below/x")
        assert (place / "below/x").exists()
    finally:
        subprocess.run(["umount", place / "below"], check=True)


def test_what_a_container_mounts_in_a_volume_does_not_show_on_the_host(box, place):
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "--make-shared", place], check=True)
    (place / "d").mkdir()
    try:
        run(box, "-v", f"{place}:/v", "--cap-add", "SYS_ADMIN", "--seccomp", "unconfined", "--", "sh", "-c",
            "grep ' /v ' /proc/self/mountinfo | grep -qv -e shared: -e master: && mount -t tmpfs tmpfs /v/d && touch /v/d/x")
        assert list((place / "d").iterdir()) == []
        assert f" {place}/d " not in Path("/proc/self/mountinfo").read_text()
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("words, said", [
    (["-v", "/nowhere/at/all:/v"], "No such file or directory"),
    (["--mount", "type=bind,src=/nowhere/at/all,dst=/v"], "No such file or directory"),
])
def test_a_source_that_is_not_there_is_not_made(box, words, said):
    message = box.fails("run", "image", "web", *words, "--", "true", status=125)
    assert said in message and "hint: a directory or file of this host must be there" in message
    assert not Path("/nowhere").exists() and box.json("ps", "-a") == []


@pytest.mark.parametrize("words, said", [
    (["-v", "a/b:/v"], "no name of a volume"),
    (["-v", "UPPER:/v"], "cannot be a volume's name"),
    (["-v", "/etc:v"], "--volume"),
    (["-v", "/etc:/"], "whole root"),
    (["-v", "/etc:/v", "-v", "/usr:/v/"], "two volumes have the target '/v'"),
    (["-v", "/etc:/v", "--tmpfs", "/v"], "two volumes have the target '/v'"),
    (["--tmpfs", "/v:size=lots"], "'size=lots' is not understood"),
    (["--tmpfs", "v"], "tmpfs"),
    (["--mount", "type=bind,src=name,dst=/v"], "type=bind,src=/srv/data"),
    (["--mount", "type=nfs,src=a,dst=/v"], "type=bind,src=/srv/data"),
])
def test_wrong_words_are_answered_with_the_right_ones(box, words, said):
    assert said in box.fails("create", "image", *words, status=2)
    assert box.json("volumes") == []


def test_a_file_system_whose_ids_cannot_be_mapped_is_named_with_the_cure(box, place):
    """proc is one of those, on every kernel."""
    message = box.fails("run", "image", "web", "-v", "/proc/self/net:/v", "--", "true", status=125)
    assert "map the ids of /proc/self/net" in message and "--userns host" in message
    assert box.json("ps", "-a") == []


# ---- the place inside

@pytest.mark.parametrize("target, seen", [("/out/canary", "/canary"), ("/up/canary", "/canary"), ("/alias", "/real"), ("/alias/new", "/real/new"),
                                          ("/up/../out/x/../canary", "/canary")])
def test_links_of_the_image_lead_to_places_inside(box, place, target, seen):
    (place / "file").write_text("volume\n")
    before = sorted(os.listdir("/"))
    assert run(box, "-v", f"{place}:{target}", "--", "cat", f"{seen}/file") == "volume\n"
    assert sorted(os.listdir("/")) == before


def test_two_containers_that_race_on_a_shared_volume_mount_nothing_outside(box, place):
    """CVE-2021-30465: one exchanges a directory of the volume and a link to / while the other mounts below it."""
    canary = place / "canary"
    canary.mkdir()
    shared_place = place / "shared"
    (shared_place / "x/deep").mkdir(parents=True)
    (shared_place / "y").symlink_to("/")
    inner = place / "inner"
    inner.mkdir()
    libc, ending, rounds = ctypes.CDLL(None, use_errno=True), threading.Event(), [0]

    def swap():
        while not ending.is_set():
            libc.renameat2(-100, bytes(shared_place / "x"), -100, bytes(shared_place / "y"), 2)
            rounds[0] += 1

    before = sorted(os.listdir("/"))
    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    try:
        for number in range(15):
            box.run("run", "--rm", "image", "-v", f"{shared_place}:/s", "-v", f"{inner}:/s/x/deep{number}", "--", "touch", f"/s/x/deep{number}/mark")
    finally:
        ending.set()
        thread.join()
    assert rounds[0] > 1000 and sorted(os.listdir("/")) == before and list(canary.iterdir()) == []
    assert not [m for m in Path("/proc/self/mountinfo").read_text().splitlines() if "deep" in m]


# ---- with a name

def test_a_volume_is_made_with_what_the_image_has_and_outlives_containers(box):
    look = "cd /data; stat -c '%u:%g %a' .; cat file sub/later; stat -c %h file; readlink soft; stat -c %u sub; ls"
    first = run(box, "-v", "data:/data", "--", "sh", "-c", look + "; echo mine > new")
    assert first == "33:44 2750\nfrom-image\nsecond\n2\nfile\n55\nfile\nhard\nsoft\nsub\n"
    assert run(box, "-v", "data:/elsewhere:ro", "--", "cat", "/elsewhere/new") == "mine\n"
    [row] = box.json("volumes")
    assert row["name"] == "data" and row["used_by"] == [] and Path(row["path"], "new").read_text() == "mine\n"
    assert stat.S_IMODE(os.stat(row["path"]).st_mode) == 0o2750 and os.stat(row["path"]).st_uid == 33
    assert run(box, "-v", "fresh:/nothing/here", "--", "stat", "-c", "%u %a", "/nothing/here") == "0 755\n"


def test_a_volume_in_use_is_kept_and_says_by_whom(box):
    box.ok("run", "-d", "image", "web", "-v", "data:/data", "--", "sleep", "1000")
    box.ok("create", "image", "two", "--mount", "type=volume,src=data,dst=/other")
    said = box.fails("rmvolume", "data")
    assert "the volume 'data' is used by 'web', 'two'" in said and "hint: " in said
    assert box.json("prune", "--force", "--volumes")["volumes"] == []
    assert "data" in box.ok("volumes") and "web, two" in box.ok("volumes")
    box.ok("stop", "web")
    box.ok("rm", "two")
    assert box.json("volumes")[0]["used_by"] == []
    assert box.json("prune", "--force", "--volumes")["volumes"] == ["data"] and box.json("volumes") == []
    assert "there is no volume 'data'" in box.fails("rmvolume", "data")
    run(box, "-v", "databank:/data", "--", "true")
    assert "databank" in box.fails("rmvolume", "databanc")


def test_prune_without_the_word_touches_no_volume(box):
    run(box, "-v", "kept:/data", "--", "true")
    box.ok("prune", "--force")
    assert box.ok("volumes", "-q") == "kept\n"


def test_two_that_make_a_volume_at_once_share_it(box):
    runs = [box.start("run", "--rm", "image", "-v", "data:/data", "--", "touch", f"/data/{n}") for n in range(6)]
    for each in runs:
        _, said = each.communicate(timeout=60)
        assert each.returncode == 0, said
    names = set(run(box, "-v", "data:/data", "--", "ls", "/data").split())
    assert names == {"file", "hard", "soft", "sub", *map(str, range(6))}


def test_a_create_that_fails_leaves_no_new_volume(box):
    assert "exists already" in (box.ok("create", "image", "web") and box.fails("create", "image", "web", "-v", "new:/data"))
    box.fails("create", "nosuch", "-v", "new:/data", "--pull", "never")
    assert box.json("volumes") == []


def test_a_volume_that_somebody_deleted_by_hand_is_made_again(box):
    box.ok("create", "image", "web", "-v", "data:/data", "--", "cat", "/data/file")
    subprocess.run(["rm", "-r", box.root / "volumes/data"], check=True)
    box.ok("start", "web")
    box.ok("wait", "web")
    assert box.ok("logs", "web") == "from-image\n"


# ---- of an image

def test_volumes_that_an_image_asks_for_belong_to_their_container(box):
    box.ok("run", "-d", "asking", "web", "--", "sleep", "1000")
    identity = box.json("inspect", "web")["id"]
    here = box.root / "containers/id" / identity / "volumes"
    box.ok("exec", "web", "--", "sh", "-c", "echo kept > /data/new; echo e > /empty/e; cat /data/file")
    assert box.json("volumes") == [] and len(list(here.iterdir())) == 2
    assert box.ok("diff", "web") == ""
    box.ok("stop", "--keep", "web")
    box.ok("start", "web")
    assert box.ok("exec", "web", "--", "cat", "/data/new", "/empty/e") == "kept\ne\n"
    box.ok("commit", "web", "committed")
    assert box.run("run", "--rm", "committed", "--", "cat", "/data/new").returncode == 1  # volumes are no part of it
    box.ok("stop", "web")
    wait_until(lambda: not here.parent.exists())
    box.ok("rmi", "committed")


def test_a_volume_of_ones_own_takes_the_place_of_the_images(box, place):
    (place / "file").write_text("mine\n")
    assert box.ok("run", "--rm", "asking", "-v", f"{place}:/data/", "--tmpfs", "/empty", "--", "cat", "/data/file") == "mine\n"
    assert box.ok("run", "--rm", "image", "-v", "/data", "--", "cat", "/data/file") == "from-image\n"
    assert box.json("volumes") == []


# ---- in memory

def test_memory_has_the_size_and_mode_that_were_asked_for(box):
    said = run(box, "--tmpfs", "/t:size=1m,mode=751,noexec", "--mount", "type=tmpfs,dst=/m,tmpfs-size=2m,readonly", "--", "sh", "-c",
               "stat -c %a /t; df -k /t /m | awk 'NR>1{print $2}'; cp /bin/busybox /t 2>&1 | grep -c 'No space'; cp /bin/true /t/x; /t/x;"
               "touch /m/x || echo read-only")
    assert said.split("\n")[:3] == ["751", "1024", "2048"] and said.endswith("read-only\n")


# ---- seen by the other verbs

def test_inspect_shows_the_mounts_as_they_are_in_force(box, place):
    (place / "a b").mkdir()
    box.ok("run", "-d", "image", "web", "-v", f"{place}/a b:/with space:ro", "-v", "data:/data", "-v", "/anon", "--tmpfs", "/t:size=1m", "--",
           "sleep", "1000")
    mounts = {m["target"]: m for m in json.loads(box.ok("inspect", "web"))["mounts"]}
    assert {t: m["type"] for t, m in mounts.items()} == {"/with space": "bind", "/data": "volume", "/anon": "volume", "/t": "tmpfs"}
    assert mounts["/with space"]["in_force"].startswith("ro,") and mounts["/with space"]["source"] == f"{place}/a b"
    assert "nosuid" in mounts["/data"]["in_force"] and mounts["/data"]["name"] == "data" and not mounts["/data"]["read_only"]
    box.ok("stop", "--keep", "web")
    assert all(m["in_force"] is None for m in json.loads(box.ok("inspect", "web"))["mounts"])


def test_df_counts_volumes(box):
    box.ok("run", "-d", "image", "web", "-v", "data:/data", "-v", "/anon", "--", "sh", "-c",
           "head -c 100000 /dev/zero > /data/big; head -c 50000 /dev/zero > /anon/big; touch /done; sleep 1000")
    wait_until(lambda: box.run("exec", "web", "--", "test", "-e", "/done").returncode == 0)
    found = box.json("df", "-v")
    [row] = [o for o in found["objects"] if o["kind"] == "volume"]
    assert row["id"] == "data" and 100_000 < row["size_bytes"] < 101_000 and row["owners"] == ["container web"]
    [own] = [o for o in found["objects"] if o["kind"] == "container"]
    assert 50_000 <= own["size_bytes"] < 51_000 and found["volumes"] == 1
    assert re.search(r"volumes +1 ", box.ok("df", "-v")) and re.search(r"volumes +1 +-", box.ok("df"))


def test_export_and_commit_leave_volumes_out(box, place):
    (place / "secret").write_text("x")
    box.ok("run", "-d", "image", "web", "-v", f"{place}:/v", "-v", "data:/data", "--", "sleep", "1000")
    box.ok("exec", "web", "--", "touch", "/own", "/data/only-volume")
    box.ok("export", "web", "-o", place / "files.tar")
    names = subprocess.run(["tar", "tf", place / "files.tar"], capture_output=True, text=True, check=True).stdout.split()
    assert "own" in names and "v/secret" not in names and "data/only-volume" not in names and "data/file" in names
