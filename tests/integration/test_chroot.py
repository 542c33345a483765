"""conductor in a chroot, where the kernel makes no user namespace and lets nobody pivot_root."""
import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def image(conductor):
    conductor.run_directory.mkdir()
    return conductor.busybox_image()


@pytest.fixture
def tree(conductor, image):
    """A tree to enter with chroot: this host's directories and the test's own, in a directory that is no mount."""
    top = conductor.directory / "tree"
    top.mkdir()
    mounted = []
    for place in ["/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc", "/proc", "/sys", "/dev", conductor.program.parent,
                  conductor.root, conductor.run_directory]:
        inside = top / Path(place).relative_to("/")
        if os.path.islink(place):
            inside.symlink_to(os.readlink(place))
            continue
        if not os.path.isdir(place):
            continue
        inside.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--rbind", place, inside], check=True)
        mounted.append(inside)
    yield top
    for inside in reversed(mounted):
        subprocess.run(["umount", "--recursive", "--lazy", inside], check=True)


def in_tree(conductor, tree, *arguments):
    return subprocess.run(["chroot", tree, *conductor.command(*arguments)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env=conductor.environment)


def test_a_container_runs_with_its_user_namespace(conductor, image, tree):
    done = in_tree(conductor, tree, "run", image, "--rm", "--", "cat", "/proc/self/uid_map")
    assert done.returncode == 0, done.stderr
    inside, outside, _ = done.stdout.split()
    assert inside == "0" and outside != "0"


def test_a_container_sees_its_image_and_not_the_host(conductor, image, tree):
    assert in_tree(conductor, tree, "run", image, "--rm", "--", "ls", "/usr/lib").returncode != 0


def test_what_runs_in_the_chroot_is_seen_from_outside_and_ends_from_there(conductor, image, tree):
    done = in_tree(conductor, tree, "run", image, "inner", "-d", "--", "sleep", "1000")
    assert done.returncode == 0, done.stderr
    conductor.wait_for_state("inner", "running")
    assert conductor.ok("exec", "inner", "--", "hostname") == "inner\n"
    conductor.ok("stop", "inner", "-t", "0")
    assert conductor.state("inner") is None


def test_relative_paths_still_begin_where_the_user_stands(conductor, image, tree):
    (conductor.root / "here").mkdir()
    (conductor.root / "here/Conductorfile").write_text("FROM scratch\nLABEL a=b\n")
    shell = ["sh", "-c", f"cd {conductor.root}/here && exec \"$@\"", "sh", *conductor.command("build", "relative")]
    done = subprocess.run(["chroot", tree, *shell], capture_output=True, text=True, timeout=60, env=conductor.environment)
    assert done.returncode == 0, done.stderr
