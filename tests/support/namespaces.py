"""Network namespaces for tests, and what can be tried in them: TCP, UDP and echo requests from one to another.

A socket stays in the namespace it was made in, so everything runs in this process: a thread enters the namespace, makes
the socket and ends. Nothing is forked, nothing is waited for longer than it takes.
"""
import ctypes
import errno
import os
import selectors
import socket
import struct
import subprocess
import threading
import time

NEW_NETWORK = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """A network namespace, held open by a descriptor: `close()` lets it go."""

    def __init__(self, fd, name):
        self.fd, self.name = fd, name

    @staticmethod
    def own(name="host"):
        return Namespace(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC), name)

    @staticmethod
    def new(name):
        space = Namespace(-1, name)

        def make():
            _check(libc.unshare(NEW_NETWORK))
            space.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        _in_a_thread(make)
        space.ip("link set lo up")
        return space

    @staticmethod
    def of_process(pid, name):
        return Namespace(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC), name)

    def do(self, work):
        """work() inside the namespace; its result or its exception."""

        def inside():
            _check(libc.setns(self.fd, NEW_NETWORK))
            return work()

        return _in_a_thread(inside)

    def socket(self, *arguments):
        return self.do(lambda: socket.socket(*arguments))

    def run(self, *command, input=None, check=True):
        """Runs a command in it; what it wrote on stdout."""
        done = subprocess.run(["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", *command], input=input, text=True,
                              capture_output=True, timeout=60)
        assert not check or done.returncode == 0, f"{self.name}: {command}: {done.stderr}"
        return done.stdout

    def ip(self, *lines):
        """Each line is a command of ip(8)."""
        return self.run("ip", "-batch", "-", input="\n".join(lines) + "\n")

    def write(self, path, text):
        """Writes a sysctl of this namespace: "net/ipv4/ip_forward"."""
        self.do(lambda: _write(f"/proc/sys/{path}", text))

    def read(self, path):
        return self.do(lambda: _read(f"/proc/sys/{path}"))

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _write(path, text):
    # Of the thread's own namespace: /proc/sys is that of whoever opens it.
    with open(path, "w") as file:
        file.write(text)


def _read(path):
    with open(path) as file:
        return file.read().strip()


def _in_a_thread(work):
    outcome = []

    def run():
        try:
            outcome.append((work(), None))
        except BaseException as error:  # noqa: B902: handed on
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error:
        raise error
    return result


# ---- servers

class Servers:
    """TCP and UDP servers that answer with their own name. One thread serves all of them."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        self.seen = []  # (name of the server, address of the client)
        self.wake_in, self.wake_out = os.pipe()
        self.selector.register(self.wake_in, selectors.EVENT_READ)
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def add(self, space, port, name=None, protocols=("tcp", "udp")):
        """Listens on every address of a namespace, IPv4 and IPv6."""
        name = name or space.name
        for protocol in protocols:
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            server = space.socket(socket.AF_INET6, kind)
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if protocol == "udp":  # an answer must leave by the address that was asked
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
                server.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
            server.bind(("::", port))
            if protocol == "tcp":
                server.listen(64)
            server.setblocking(False)
            with self.lock:
                self.sockets.append((space, server))
                self.selector.register(server, selectors.EVENT_READ, (protocol, name))

    def remove(self, space):
        """Closes all servers of a namespace, which they would keep alive."""
        with self.lock:
            for entry in [e for e in self.sockets if e[0] is space]:
                self.selector.unregister(entry[1])
                entry[1].close()
                self.sockets.remove(entry)
            for key in list(self.selector.get_map().values()):
                if key.data and key.data[0] == "connection" and key.data[2] is space:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()

    def _serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                with self.lock:
                    try:
                        self._answer(key)
                    except (OSError, KeyError, ValueError):
                        pass

    def _answer(self, key):
        kind, name = key.data[:2]
        server = key.fileobj
        if kind == "udp":
            data, ancillary, _, client = server.recvmsg(2048, 256)
            self.seen.append((name, client[0]))
            keep = [(level, type_, value) for level, type_, value in ancillary]
            server.sendmsg([name.encode()], keep, 0, client)
        elif kind == "tcp":
            connection, client = server.accept()
            self.seen.append((name, client[0]))
            connection.setblocking(False)
            space = next(s for s, each in self.sockets if each is server)
            self.selector.register(connection, selectors.EVENT_READ, ("connection", name, space))
            connection.send(name.encode())
        else:
            data = server.recv(65536)
            if data:
                server.send(data)
            else:
                self.selector.unregister(server)
                server.close()

    def close(self):
        os.write(self.wake_out, b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            if hasattr(key.fileobj, "close"):
                key.fileobj.close()
        self.selector.close()
        os.close(self.wake_in)
        os.close(self.wake_out)


# ---- clients

REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM,
           errno.EHOSTDOWN}


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Outcome:
    """What became of a try: "ok" with who answered, "refused" (at once, by whatever message), or "silent"."""

    def __init__(self, word, who="", seconds=0.0, detail=""):
        self.word, self.who, self.seconds, self.detail = word, who, seconds, detail

    def __repr__(self):
        return f"{self.word}{' from ' + self.who if self.who else ''} after {self.seconds:.2f} s {self.detail}".strip()


def _timed(space, kind, address, timeout, work):
    client = space.socket(family_of(address), *kind)
    client.settimeout(timeout)
    begin = time.monotonic()
    try:
        who = work(client)
        return Outcome("ok", who, time.monotonic() - begin)
    except TimeoutError:
        return Outcome("silent", "", time.monotonic() - begin)
    except OSError as error:
        word = "refused" if error.errno in REFUSED else "failed"
        return Outcome(word, "", time.monotonic() - begin, errno.errorcode.get(error.errno, str(error)))
    finally:
        client.close()


def tcp(space, address, port, timeout=1.5):
    def work(client):
        client.connect((address, port))
        return client.recv(100).decode()

    return _timed(space, (socket.SOCK_STREAM,), address, timeout, work)


def udp(space, address, port, timeout=1.5):
    def work(client):
        client.connect((address, port))
        client.send(b"who are you")
        return client.recv(100).decode()

    return _timed(space, (socket.SOCK_DGRAM,), address, timeout, work)


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(space, address, timeout=1.5):
    """One echo request. Refused when an ICMP error comes back for it."""
    is6 = ":" in address
    request, reply, errors = (128, 129, {1}) if is6 else (8, 0, {3})
    identifier = struct.unpack("!H", os.urandom(2))[0]
    body = struct.pack("!BBHHH", request, 0, 0, identifier, 1) + b"conductor test.."
    if not is6:
        body = body[:2] + struct.pack("!H", _checksum(body)) + body[4:]

    def work(client):
        client.sendto(body, (address, 0))
        end = time.monotonic() + timeout
        while True:
            client.settimeout(max(0.001, end - time.monotonic()))
            packet, sender = client.recvfrom(2048)
            icmp = packet if is6 else packet[(packet[0] & 15) * 4:]
            if icmp[0] == reply and struct.unpack("!H", icmp[4:6])[0] == identifier:
                return sender[0]
            if icmp[0] in errors and struct.pack("!H", identifier) in icmp[8:]:
                raise OSError(errno.EHOSTUNREACH, f"ICMP {icmp[0]}/{icmp[1]}")

    protocol = socket.IPPROTO_ICMPV6 if is6 else socket.IPPROTO_ICMP
    return _timed(space, (socket.SOCK_RAW, protocol), address, timeout, work)


def cable(left, left_name, right, right_name, left_addresses, right_addresses, mtu=1500):
    """A veth pair between two namespaces, with addresses ("192.0.2.1/24"), up."""
    left.ip(f"link add {left_name} mtu {mtu} type veth peer name {right_name} mtu {mtu} netns /proc/{os.getpid()}/fd/{right.fd}")
    for space, name, addresses in ((left, left_name, left_addresses), (right, right_name, right_addresses)):
        space.ip(*[f"address add {a} dev {name}{' nodad' if ':' in a else ''}" for a in addresses], f"link set {name} up")
