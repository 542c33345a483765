"""A docker of our own, to be compared with: directories, socket and processes of its own; no bridge and no firewall rules
unless it is asked for a network, which only a test in a network namespace of its own may do."""
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile

from .waiting import wait_until


def is_installed():
    return all(shutil.which(program) for program in ("docker", "dockerd", "containerd"))


class Dockerd:
    """Runs until close(). Needs root. The state lies below `directory`, which must not be on an overlay."""

    NO_NETWORK = ("--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")

    def __init__(self, directory="/var/tmp", network=False):
        self.directory = tempfile.mkdtemp(prefix="dockerd-", dir=directory)
        self.socket = f"unix://{self.directory}/docker.sock"
        self.log = open(f"{self.directory}/log", "wb")
        self.process = subprocess.Popen(
            ["dockerd", "-H", self.socket, "--data-root", f"{self.directory}/data", "--exec-root",
             f"{self.directory}/exec", "--pidfile", f"{self.directory}/pid", *(() if network else self.NO_NETWORK)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        try:
            wait_until(self.answers, 60, self.last_words)
        except BaseException:
            self.close()
            raise

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"dockerd ended: {self.last_words()}")
        return self.run("version", check=False).returncode == 0

    def last_words(self):
        with open(f"{self.directory}/log", errors="replace") as file:
            return "".join(file.readlines()[-10:])

    def command(self, *words):
        return ["docker", "-H", self.socket, *words]

    def run(self, *words, check=True, **options):
        done = subprocess.run(self.command(*words), capture_output=True, timeout=300, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(words)}: {done.stderr.decode(errors='replace')}")
        return done

    def import_busybox(self, name, busybox="/bin/busybox"):
        """An image with one static busybox and its links, as `FROM busybox` of ours has."""
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        tree = io.BytesIO()
        with tarfile.open(fileobj=tree, mode="w") as tar:
            tar.add(busybox, arcname="bin/busybox")
            for applet in applets:
                if applet != "busybox":
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tar.addfile(link)
        self.run("import", "-", name, input=tree.getvalue())

    def close(self):
        """Ends its containers, itself and its containerd, and removes its directories."""
        if self.process.poll() is None:
            if ids := self.run("ps", "-aq", check=False).stdout.decode().split():
                self.run("rm", "-f", *ids, check=False)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()
        for mount in reversed(self.mounts()):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def mounts(self):
        with open("/proc/self/mountinfo") as file:
            return [line.split()[4] for line in file if line.split()[4].startswith(self.directory)]
