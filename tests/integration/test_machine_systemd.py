"""A host where systemd is the first process and owns the cgroup tree, and its reboot: a virtual machine with Debian's own,
in which machine/under-systemd runs as a service, once before and once after."""
import os
import subprocess

import pytest
from support.machine import PLACE, Machine, needs
from support.program import program_path

UNITS = {
    "check.service": """[Unit]
After=conductor.service
[Service]
Type=oneshot
ExecStart=/check
[Install]
WantedBy=multi-user.target
""",
    # One of somebody else's, for which systemd hands controllers out, and takes them back.
    "other.service": """[Service]
Type=oneshot
ExecStart=true
Slice=other.slice
MemoryMax=100M
CPUWeight=20
IOWeight=20
""",
    "starter.service": """[Service]
Type=oneshot
ExecStart=conductor run -d --restart always t started-by-a-service -- sleep 1000
""",
}


@pytest.fixture
def machine():
    needs("kernel", "systemd")
    made = Machine()
    yield made
    made.close()


def test_containers_beside_systemd_and_after_its_reboot(machine):
    build = program_path().parent
    subprocess.run(["cp", "-a", PLACE / "systemd", machine.tree], check=True)
    subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], env={**os.environ, "DESTDIR": str(machine.tree)},
                   check=True, stdout=subprocess.DEVNULL)
    machine.add_libraries(build / "conductor", build / "conductor-images")
    machine.add_modules()
    machine.add_script("under-systemd", "check")
    for name, text in UNITS.items():
        (machine.tree / "etc/systemd/system" / name).write_text(text)
    subprocess.run(["chroot", machine.tree, "systemctl", "enable", "check.service", "conductor.service"], check=True)  # its own: the host may have none
    machine.make_disk("/sbin/init", 1200)
    for _ in range(2):
        machine.boot(270, "systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service")
    machine.verdict(times=2)
    assert not [line for line in machine.said if "Waiting for process" in line], "somebody held the reboot up"
