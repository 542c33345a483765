"""What lies around the host of a test: a link to a network outside, with somebody on it, made in the test's own network
namespace (tests/support/private). Addresses are those of RFC 5737 and RFC 3849."""
import os
import socket
import subprocess
import sys

from .waiting import wait_until

HERE, THERE = "192.0.2.1", "192.0.2.2"
HERE6, THERE6 = "2001:db8::1", "2001:db8::2"


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def ask(address, port, timeout=3.0):
    """What a TCP server at that place says, as seen from here; None when it refuses at once."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.settimeout(timeout)
            said = b""
            while part := connection.recv(4096):
                said += part
            return said.decode().strip()
    except (ConnectionError, OSError) as error:
        if isinstance(error, (ConnectionError, socket.gaierror)) or error.errno in (113, 101):
            return None
        raise


class Outside:
    """A network behind an uplink of the host: `there` is a machine on it that the default route leads to."""

    def __init__(self):
        # A process that does nothing but hold the namespace.
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own, 10, "a namespace outside")
        run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        run("ip", "address", "add", f"{HERE}/24", "dev", "up0")
        run("ip", "-6", "address", "add", f"{HERE6}/64", "dev", "up0", "nodad")
        run("ip", "link", "set", "up0", "up")
        self.run("ip", "address", "add", f"{THERE}/24", "dev", "eth0")
        self.run("ip", "-6", "address", "add", f"{THERE6}/64", "dev", "eth0", "nodad")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "link", "set", "lo", "up")
        run("ip", "route", "add", "default", "via", THERE)
        run("ip", "-6", "route", "add", "default", "via", THERE6)
        self.servers = []

    def inside(self, *words):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *words]

    def run(self, *words):
        return run(*self.inside(*words))

    def serve(self, port, text):
        """A TCP server there that says `text` and who asked."""
        code = ("import socket\nserver = socket.socket(socket.AF_INET6)\n"
                "server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                f"server.bind(('::', {port}))\nserver.listen()\nprint('ready', flush=True)\n"
                "while True:\n    connection, asker = server.accept()\n"
                f"    connection.sendall(f'{text} {{asker[0]}}'.encode())\n    connection.close()\n")
        server = subprocess.Popen(self.inside(sys.executable, "-c", code), stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout.readline() == "ready\n"

    def ask(self, address, port):
        """What a TCP server of the host says to somebody there; None when it refuses."""
        code = (f"import sys; sys.path.insert(0, {str(os.path.dirname(os.path.dirname(__file__)))!r})\n"
                f"from support.outside import ask\nprint(ask({address!r}, {port}))\n")
        said = self.run(sys.executable, "-c", code).strip()
        return None if said == "None" else said

    def close(self):
        for server in self.servers:
            server.kill()
            server.wait()
        self.holder.stdin.close()
        self.holder.wait()
        # The kernel takes the link away a moment after its other end's namespace.
        subprocess.run(["ip", "link", "delete", "up0"], capture_output=True)
