"""Limits, the life of containers, their users and their networks on the oldest kernel that is supported, with cgroup v2
alone: in a virtual machine that runs machine/limits-and-life as its first process."""
import shutil

import pytest
from support.machine import Machine, needs
from support.program import program_path


@pytest.fixture
def machine():
    needs("kernel")
    made = Machine()
    yield made
    made.close()


def test_limits_and_life_on_a_kernel_with_cgroup_v2_alone(machine):
    build = program_path().parent
    for name in ("bin", "sbin", "dev", "proc", "sys", "tmp", "run", "etc", "var/lib"):
        (machine.tree / name).mkdir(parents=True)
    shutil.copy(build / "share/busybox", machine.tree / "bin/busybox")
    (machine.tree / "bin/sh").symlink_to("busybox")
    (machine.tree / "sbin/modprobe").symlink_to("../bin/busybox")  # whom the kernel asks for what a rule or a link needs
    (machine.tree / "sbin/ip").symlink_to("../bin/busybox")
    machine.add_programs(build / "conductor", build / "conductor-images", shutil.which("nft"), shutil.which("ip"))
    machine.add_modules()
    machine.add_script("limits-and-life", "init")
    machine.make_disk("/init", 400)
    machine.boot(420)
    machine.verdict()
