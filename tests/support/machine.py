"""Virtual machines for what a test cannot have on the host: another kernel, another first process.

The kernel is the distribution's for clouds, unpacked by `./bootstrap test` (fetch_machines) beside the build, as is a
Debian tree with systemd; neither is installed. The processor is emulated, so all takes ten
times as long as on the host. A script inside says what it found, "passed: ..." or "FAILED: ..." a line, and "finished" at the end (machine/checks).
"""
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from .program import TOP, program_path
from .waiting import PATIENCE

SCRIPTS = TOP / "tests/machine"
PLACE = program_path().parent / "machine"
DRIVERS = ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_modern_dev", "virtio/virtio_pci_legacy_dev",
           "virtio/virtio_pci", "block/virtio_blk"]
# Of the modules what conductor, the rules and systemd may ask for.
MODULES = ["net", "lib", "crypto", "fs/overlayfs", "fs/autofs", "drivers/net/veth.ko"]


def needs(*names):
    """Skips where this host cannot emulate one, or what it is made of could not be fetched."""
    if platform.machine() != "x86_64":
        pytest.skip(f"the virtual machine is an x86-64 one, and this is {platform.machine()}")
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 is not installed")
    for name in names:
        if not (PLACE / name).exists():
            pytest.skip(f"there is no {PLACE / name}: ./bootstrap test fetches it, which needs root and the package mirror")


def libraries(programs):
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True)
    return sorted(set(re.findall(r"(/\S+) \(0x", done.stdout)))


class Machine:
    """A disk to boot from: `tree` is filled by the test, then boot() as often as it likes."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="ct-", dir=os.environ.get("CONDUCTOR_TEST_DIRECTORY", "/var/tmp")))
        self.tree, self.disk = self.directory / "tree", self.directory / "disk"
        self.initrd = self.directory / "initrd"
        self.kernel = next((PLACE / "kernel/boot").glob("vmlinuz-*"))
        self.version = self.kernel.name.removeprefix("vmlinuz-")
        self.modules = PLACE / "kernel/lib/modules" / self.version
        self.said = []

    def close(self):
        shutil.rmtree(self.directory)

    def add_modules(self):
        target = self.tree / "lib/modules" / self.version
        for name in MODULES:
            source, place = self.modules / "kernel" / name, target / "kernel" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
        for index in self.modules.glob("modules.*"):
            shutil.copy(index, target)

    def add_programs(self, *programs):
        """Copies programs of the host, with their libraries."""
        for program in programs:
            shutil.copy(program, self.tree / "bin")
        self.add_libraries(*programs)

    def add_libraries(self, *programs):
        """Those that the tree does not have."""
        for library in libraries(programs):
            place = self.tree / library.lstrip("/")
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, place)

    def add_script(self, name, to):
        shutil.copy(SCRIPTS / "checks", self.tree / "checks")
        shutil.copy(SCRIPTS / name, self.tree / to)

    def make_disk(self, first_process, megabytes):
        """The disk of what the tree is now, and the ramdisk that mounts it and executes first_process."""
        busybox = program_path().parent / "share/busybox"
        ram = self.directory / "ram"
        for name in ("bin", "modules", "new", "dev"):
            (ram / name).mkdir(parents=True)
        shutil.copy(busybox, ram / "bin/busybox")
        shutil.copy(SCRIPTS / "first", ram / "init")
        (ram / "next").write_text(first_process)
        for driver in DRIVERS:
            shutil.copy(self.modules / "kernel/drivers" / f"{driver}.ko", ram / "modules")
        packed = subprocess.run([busybox, "cpio", "-o", "-H", "newc"], cwd=ram, stdout=subprocess.PIPE, check=True, text=False,
                                input="\n".join(str(p.relative_to(ram)) for p in sorted(ram.rglob("*"))).encode(),
                                stderr=subprocess.DEVNULL)
        self.initrd.write_bytes(packed.stdout)
        with self.disk.open("wb") as disk:
            disk.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-d", self.tree, self.disk], check=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})

    def boot(self, seconds, options=""):
        """Runs it until it powers itself off or reboots; what it said. The clock ends it, and so does our end."""
        # One thread for both processors: with one each, QEMU 7.2 lost an interrupt now and then on a busy host, and the
        # kernel waited for it for ever.
        command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=single", "-m", "1024", "-smp", "2", "-nographic",
                   "-no-reboot", "-nic", "none", "-kernel", self.kernel, "-initrd", self.initrd,
                   "-append", f"console=ttyS0 quiet panic=1 {options}", "-drive", f"file={self.disk},format=raw,if=virtio,cache=unsafe"]
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        clock = threading.Timer(seconds * PATIENCE, machine.kill)
        clock.start()
        try:
            for line in machine.stdout:
                text = line.decode(errors="replace").rstrip()
                print(text, flush=True)
                self.said.append(text)
        finally:
            clock.cancel()
            machine.kill()
            machine.wait()
        return self.said

    def verdict(self, times=1):
        """Throws unless everything passed and the script came to its end, at each of so many boots."""
        failed = [line for line in self.said if "FAILED: " in line]
        ends = [line for line in self.said if "finished" in line]
        passed = [line for line in self.said if "passed: " in line]
        end = "" if len(ends) == times else f"it did not come to its end, {len(ends)} of {times}; the last it said:\n" + "\n".join(self.said[-20:])
        assert not failed and not end and passed, "\n".join([*failed, end])
