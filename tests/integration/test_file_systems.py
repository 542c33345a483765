"""The state directory on each file system that must serve, from an image of its own on a loop device; a full one, and one
that is read-only, for every verb that writes."""
import os
import re
import shutil
import subprocess

import pytest

from support import host
from support.lying_registry import LyingRegistry
from support.oci_image import Image, busybox, tar
from support.waiting import wait_until

# What makes it, in how many MiB (the least that mkfs takes), and which package has it.
KINDS = {"ext4": (["mkfs.ext4", "-q"], 96, "e2fsprogs"), "xfs": (["mkfs.xfs", "-q"], 304, "xfsprogs"),
         "btrfs": (["mkfs.btrfs", "-q"], 128, "btrfs-progs"), "tmpfs": (None, 96, "")}


@pytest.fixture
def disk(conductor):
    """disk(kind): the state directory lies on a new file system of this kind; its mount point."""
    place = conductor.directory / "disk"
    place.mkdir()

    def make(kind, size=None, options=()):
        mkfs, mebibytes, package = KINDS[kind]
        if mkfs is None:
            words = ["-t", "tmpfs", "-o", f"size={size or mebibytes}m", "tmpfs"]
        else:
            if not shutil.which(mkfs[0]):
                pytest.skip(f"{mkfs[0]} is not installed (package {package}): sudo ./bootstrap test installs it")
            image = conductor.directory / "image"
            with open(image, "wb") as file:
                file.truncate((size or mebibytes) << 20)
            subprocess.run([*mkfs, *options, image], check=True, capture_output=True)
            words = ["-o", "loop", str(image)]
        done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"this host mounts no {kind} from a loop device: {done.stderr.strip()}")
        conductor.root = place / "root"
        return place

    yield make
    if os.path.ismount(place):
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=False)
        conductor.remove_containers()
        # A removed container's empty directories go behind the verb, by a process that still holds the file system.
        wait_until(lambda: not host.processes_using(place), 10, "nobody uses the file system")
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_build_run_commit_copy_and_volumes_work(conductor, disk, kind):
    disk(kind)
    (conductor.directory / "motd").write_text("hello\n")
    (conductor.directory / "F").write_text("FROM busybox\nCOPY motd /etc/motd\nRUN mkdir /data && echo image > /data/f && chown 7:8 /data"
                                           " && rm /bin/vi && rm -r /home && mkdir /home && touch /home/x\nVOLUME /own\n")
    conductor.ok("build", "web", conductor.directory / "F")
    conductor.ok("run", "-d", "web", "one", "-v", "data:/data", "--", "sleep", "1000")
    said = conductor.ok("exec", "one", "--", "sh", "-c", "cat /etc/motd /data/f; stat -c %u:%g /data; ls /home; echo w > /written;"
                        "touch /own/o; chown 1000 /written; rm /etc/motd; echo v > /data/v; test ! -e /bin/vi")
    assert said == "hello\nimage\n7:8\nx\n"
    assert conductor.ok("diff", "one").splitlines() == ["C /etc", "D /etc/motd", "A /written"]
    conductor.ok("cp", conductor.directory / "motd", "one:/etc/motd")
    conductor.ok("commit", "one", "made")
    assert conductor.ok("run", "--rm", "made", "--", "sh", "-c", "cat /etc/motd /written; stat -c %u /written; ls /own /data") == "hello\nw\n1000\n/data:\nf\n\n/own:\n"
    conductor.ok("stop", "--keep", "one")
    conductor.ok("cp", conductor.directory / "motd", "one:/data/copied")
    conductor.ok("cp", "-a", "one:/written", conductor.directory / "out")
    assert (conductor.directory / "out").stat().st_uid == 1000
    conductor.ok("start", "one")
    assert conductor.ok("exec", "one", "--", "cat", "/data/copied", "/data/v") == "hello\nv\n"
    assert conductor.ok("run", "--rm", "web", "--read-only", "-v", "data:/d:ro", "--tmpfs", "/t", "--", "cat", "/d/v") == "v\n"
    conductor.ok("rm", "-f", "one")
    conductor.ok("prune", "--force", "--volumes")
    assert conductor.json("volumes") == [] and list((conductor.root / "tmp").iterdir()) == []


# ---- full

def fill(place, leave):
    """Fills a file system up but for so many bytes."""
    with open(place / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(bytes(1 << 16))
    os.truncate(place / "filler", max((place / "filler").stat().st_size - leave, 0))


def fill_inodes(place):
    """Makes files until the file system has no place for another."""
    (place / "many").mkdir()
    with pytest.raises(OSError):
        for number in range(10**6):
            (place / "many" / str(number)).touch()


def census(root):
    return sorted(str(p.relative_to(root)) for top in ("images", "layers", "containers", "volumes", "tmp", "blobs")
                  for p in (root / top).rglob("*") if not p.name.startswith(".") and (root / top).exists())


FULL = {
    "build": (["build", "new", "{dir}/F"], ["run", "--rm", "new", "--", "test", "-e", "/big"]),
    "copy of a build": (["build", "new", "{dir}/C"], ["run", "--rm", "new", "--", "test", "-e", "/big"]),
    "load": (["load", "{dir}/saved.tar", "--name", "new"], ["run", "--rm", "new", "--", "true"]),
    "cp": (["cp", "{dir}/big", "web:/big"], ["exec", "web", "--", "test", "-e", "/big"]),
    "volume": (["create", "large", "-v", "data:/data"], ["volumes", "-q"]),
    "commit": (["commit", "large-1", "new"], ["run", "--rm", "new", "--", "true"]),
    "pull": (["pull", "{host}/new"], ["run", "--rm", "{host}/new", "--", "/busybox", "true"]),
    "run": (["run", "--rm", "box", "--", "true"], ["exec", "web", "--", "true"]),
    "run in the background": (["run", "-d", "box", "two", "--", "sleep", "1000"], ["exec", "two", "--", "true"]),
}


@pytest.fixture
def registry():
    """Has an image `new` whose layer is of six megabytes."""
    made = LyingRegistry()
    made.serve(Image([tar({"busybox": busybox(), "big": os.urandom(6 << 20)})], packing=""), "new")
    yield made
    made.close()


@pytest.mark.parametrize("full", ["bytes", "inodes"])
@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_is_said_nothing_is_left_and_then_it_works(conductor, disk, registry, what, full):
    place = disk("tmpfs", 48) if full == "bytes" else disk("ext4", 96, ["-N", "2048"])
    here = conductor.directory
    (here / "big").write_bytes(os.urandom(6 << 20))
    (here / "F").write_text("FROM box\nRUN head -c 6000000 /dev/urandom > /big\n")
    (here / "C").write_text("FROM box\nCOPY big /big\n")
    (here / "L").write_text("FROM box\nRUN mkdir /data && head -c 6000000 /dev/urandom > /data/big\n")
    conductor.busybox_image("box")
    conductor.ok("run", "-d", "box", "web", "--", "sleep", "1000")
    if what in ("volume", "commit"):
        conductor.ok("build", "large", here / "L")
    if what == "commit":
        conductor.ok("create", "large", "large-1")
        conductor.ok("cp", here / "big", "large-1:/written")
    if what == "load":
        (here / "S").write_text("FROM box\nCOPY big /big\n")
        conductor.ok("build", "saved", here / "S")
        conductor.ok("save", "saved", "-o", here / "saved.tar")
        conductor.ok("rmi", "saved")
        conductor.ok("prune", "--force")
    words, proof = ([word.format(dir=here, host=registry.host) for word in part] for part in FULL[what])
    before = census(conductor.root)
    if full == "bytes":
        fill(place, 0 if what.startswith("run") else 512 << 10)
    else:
        fill_inodes(place)
    done = conductor.run(*words)
    assert done.returncode != 0
    assert re.search("No space left on device|does not fit|is full", done.stderr), done.stderr
    assert "hint: " in done.stderr, done.stderr
    (place / "filler").unlink() if full == "bytes" else shutil.rmtree(place / "many")
    left = [name for name in census(conductor.root) if name not in before]
    assert [name for name in left if not name.startswith("rw/")] == [], left
    conductor.ok(*words)
    assert conductor.ok(*proof) in ("", "data\n")


# ---- read-only

LOOKS = [["ps", "-a"], ["images"], ["volumes"], ["inspect", "web"], ["inspect", "box:latest"], ["df"], ["diff", "web"], ["logs", "web"], ["history", "box"]]
WRITES = [["run", "box", "--", "true"], ["create", "box"], ["build", "new", "{dir}/F"], ["tag", "box", "other"], ["rmi", "spare"], ["start", "web"],
          ["rename", "web", "other"], ["rm", "web"], ["stop", "web"], ["cp", "{dir}/F", "web:/x"], ["commit", "web", "new"], ["rmvolume", "data"],
          ["prune", "--force"], ["rmcache"], ["import", "{dir}/tree.tar", "new"]]


def test_a_read_only_state_directory_is_looked_at_and_said_by_all_that_write(conductor, disk):
    place = disk("tmpfs")
    here = conductor.directory
    conductor.busybox_image("box")
    conductor.ok("run", "box", "web", "-v", "data:/data", "--", "echo", "said")
    conductor.ok("run", "--rm", "box", "-v", "data:/data", "--", "true")
    conductor.ok("create", "box", "two", "-v", "other:/data")
    conductor.ok("rm", "two")
    conductor.ok("tag", "box", "spare")
    (here / "F").write_text("FROM box\nRUN true\n")
    subprocess.run(["tar", "cf", here / "tree.tar", "-C", here, "F"], check=True)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    for words in LOOKS:
        conductor.ok(*words)
    unclear = []
    for words in [[*words[:1], *(w.format(dir=here) for w in words[1:])] for words in WRITES]:
        words = ["rmvolume", "other"] if words[0] == "rmvolume" else words
        done = conductor.run(*words)
        if done.returncode == 0 or "Read-only file system" not in done.stderr or "hint: " not in done.stderr:
            unclear.append((words, done.returncode, done.stderr))
    assert unclear == []
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
    conductor.ok("rmvolume", "other")
    conductor.ok("start", "web")
