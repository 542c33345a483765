"""Network namespaces of a test's own: a host (the test itself), a LAN, the internet, containers; and who reaches whom.

A Space is a process that holds a network namespace. Its sockets are opened by a thread that entered it: a socket stays
in the namespace that it was opened in, so everything else is plain Python in one process.
"""
import ctypes
import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.waiting import PATIENCE

DRIVER = Path(os.environ.get("CONDUCTOR_PROGRAM", "build/release/conductor")).resolve().parent / "tests/conductor-link-driver"
NEW_NETWORK = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*words, input=None, check=True):
    done = subprocess.run(words, input=input, capture_output=True, text=True, timeout=30 * PATIENCE)
    assert not check or done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


class Space:
    """A network namespace; Space(None) is the test's own."""

    def __init__(self, name):
        self.name, self.process = name, None
        if name:
            self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self.process.stdout.readline()
        self.file = f"/proc/{self.process.pid if name else 'self'}/ns/net"
        self.worker = ThreadPoolExecutor(1)
        self.worker.submit(self._enter).result()
        self.open = []

    def _enter(self):
        if self.process:
            fd = os.open(self.file, os.O_RDONLY)
            assert libc.setns(fd, NEW_NETWORK) == 0
            os.close(fd)

    def run(self, *words, check=True):
        return run(*(["nsenter", f"--net={self.file}"] if self.process else []), *words, check=check)

    def make_socket(self, family, kind, protocol=0):
        made = self.worker.submit(socket.socket, family, kind, protocol).result()
        made.settimeout(2 * PATIENCE)
        self.open.append(made)
        return made

    def serve(self, port, address=None):
        """Echoes TCP and UDP at that port, both families (or at one address); each answer begins with who asked."""
        for family in (socket.AF_INET, socket.AF_INET6):
            if address and (":" in address) != (family == socket.AF_INET6):
                continue
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                server = self.make_socket(family, kind)
                server.settimeout(None)
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                server.bind((address or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))
                threading.Thread(target=self._streams if kind == socket.SOCK_STREAM else self._datagrams, args=(server,),
                                 daemon=True).start()

    def _streams(self, server):
        server.listen()
        try:
            while True:
                client, who = server.accept()
                self.open.append(client)
                threading.Thread(target=self._echo, args=(client, who[0]), daemon=True).start()
        except OSError:
            return

    def _echo(self, client, who):
        try:
            while data := client.recv(1000):
                client.sendall(who.encode() + b" " + data)
        except OSError:
            return

    def _datagrams(self, server):
        try:
            while True:
                data, who = server.recvfrom(1000)
                if not who:  # shut down
                    return
                server.sendto(who[0].encode() + b" " + data, who)
        except OSError:
            return

    def connect(self, address, port, kind=socket.SOCK_STREAM):
        """A connected socket that got an answer, or the name of what was got instead: "refused", "silence"."""
        made = self.make_socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        try:
            made.connect((address, port))
            self.exchange(made)
        except (TimeoutError, socket.timeout):
            return "silence"
        except OSError as error:
            return "refused" if error.errno in (111, 113, 13, 104, 101) else str(error)
        return made

    @staticmethod
    def exchange(made):
        made.send(b"hello")
        answer = made.recv(1000)
        if not answer:
            raise ConnectionResetError(104, "closed")
        return answer.split()[0].decode()

    def reaches(self, address, port, kind="tcp"):
        """ "yes", "refused" (at once) or "silence"."""
        begin = time.monotonic()
        got = self.connect(address, port, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        if isinstance(got, str):
            assert got != "refused" or time.monotonic() - begin < 1 * PATIENCE, "refused, but not at once"
            return got
        got.close()
        return "yes"

    def pings(self, address):
        """ICMP echo: "yes", "refused" or "silence"."""
        six = ":" in address
        made = self.make_socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM, 58 if six else 1)
        try:
            made.connect((address, 0))
            made.send(bytes([128 if six else 8, 0, 0, 0, 0, 1, 0, 1]) + b"hello")
            made.recv(1000)
        except (TimeoutError, socket.timeout):
            return "silence"
        except OSError:
            return "refused"
        finally:
            made.close()
        return "yes"

    def close(self):
        for made in self.open:
            try:
                made.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            made.close()
        self.worker.shutdown()
        if self.process:
            self.process.kill()
            self.process.wait()


class World:
    """The test's own namespace as a host with two networks: a LAN, and an uplink to an internet. Cables are veth pairs."""

    LAN, LAN6 = "192.168.5", "fd00:5::"
    NET, NET6 = "203.0.113", "2001:db8:1::"

    def __init__(self):
        self.host, self.lan, self.internet = Space(None), Space("lan"), Space("internet")
        self.spaces = [self.host, self.lan, self.internet]
        self.containers = {}
        # A new namespace takes the first from the machine's; the second may be left from a test that flushed our table.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        run("sysctl", "-qw", "net.ipv6.conf.default.force_forwarding=0")
        for space, link, net, net6 in ((self.lan, "lan0", self.LAN, self.LAN6), (self.internet, "up0", self.NET, self.NET6)):
            run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(space.process.pid))
            for on, last in ((self.host, 2), (space, 1)):
                name = link if on is self.host else "eth0"
                on.run("ip", "address", "add", f"{net}.{last}/24", "dev", name)
                on.run("ip", "-6", "address", "add", f"{net6}{last}/64", "dev", name, "nodad")
                on.run("ip", "link", "set", name, "up")
            space.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 0")
        run("ip", "route", "add", "default", "via", f"{self.NET}.1")
        run("ip", "-6", "route", "add", "default", "via", f"{self.NET6}1")
        run("sysctl", "-qw", "net.ipv4.ping_group_range=0 0")
        self.lan.run("ip", "route", "add", "default", "via", f"{self.LAN}.2")
        self.lan.run("ip", "-6", "route", "add", "default", "via", f"{self.LAN6}2")

    def drive(self, verb, *words, check=True):
        done = subprocess.run([DRIVER, verb, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=30 * PATIENCE)
        assert not check or done.returncode == 0, done.stderr
        self.told = done.stderr
        return json.loads(done.stdout) if done.returncode == 0 else done

    def container(self, name, index, *wanted):
        space = Space(name)
        space.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 0")
        self.spaces.append(space)
        space.index, space.id = index, f"{index:032x}"
        self.containers[name] = space
        subnet = self.drive("attach", *self.words(space), f"ns={space.file}", *wanted)
        base = subnet["host"].rsplit(".", 2)[0]
        space.address, space.address6 = f"{base}.{index >> 8}.{index & 255}", f"{subnet['ipv6']}{index:x}"
        self.gateway, self.gateway6 = subnet["host"], subnet["host6"]
        space.serve(80)
        return space

    @staticmethod
    def words(space):
        return f"id={space.id}", f"name={space.name}", f"index={space.index}"

    def change(self, space, *wanted):
        self.drive("change", *self.words(space), *wanted)

    def detach(self, space, *words):
        self.drive("detach", *self.words(space), *words)

    def close(self):
        for space in self.spaces:
            space.close()
        for link in ("lan0", "up0"):
            run("ip", "link", "delete", link, check=False)
