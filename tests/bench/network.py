#!/usr/bin/env python3
"""What the network costs, beside ip(8) and iptables(8), a bridge, and docker.

Runs in a network and a mount namespace of its own; rivals run interleaved with us, A B A B ..., and each row prints both
medians and their ratio. A rival that is not installed is left out and named. Needs root; leaves nothing.

  sudo tests/bench/network.py [--program build/release/conductor] [--runs 30] [ROW...]

attach       a container's links, addresses, routes and permissions: the operation alone (conductor-bench-network) and
             the whole verb addnetwork, beside the ten ip and four iptables commands that do as much
element      one permission granted and withdrawn, beside 0 and 1000 others
traffic      the counters of 500 links
roundtrip    a packet and its answer: between peers, with the host, and through a published port; each with and without
             the chains that count, and beside two namespaces on a bridge
throughput   between two containers that are peers, beside two namespaces on a bridge (iperf3)
run          `run --rm --internet` of /bin/true, beside docker with its bridge; in a loop, where each waits for the kernel to
             take the network namespaces of those before apart, and with pauses, as a person makes them
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tests"))
from support import dockerd  # noqa: E402
from support.waiting import wait_until  # noqa: E402

INSIDE = "CONDUCTOR_BENCH_INSIDE"
IPERF_PORT = 5201  # its own choice


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


def timed(*command):
    began = time.perf_counter()
    run(*command)
    return (time.perf_counter() - began) * 1000


def row(name, ours, theirs=None, unit="ms", goal=""):
    text = f"{name:<44} ours {statistics.median(ours):9.3f} {unit}"
    if theirs:
        text += f"   theirs {statistics.median(theirs):9.3f} {unit}   ratio {statistics.median(ours) / statistics.median(theirs):7.4f}"
    print(text + (f"   goal {goal}" if goal else ""), flush=True)


class Bench:
    def __init__(self, arguments):
        self.runs = arguments.runs
        self.program = os.path.abspath(arguments.program)
        self.part = Path(self.program).parent / "tests/conductor-bench-network"
        self.directory = tempfile.mkdtemp(prefix="conductor-bench-", dir=arguments.directory)
        self.roots = ["--root", f"{self.directory}/root", "--run", f"{self.directory}/run"]
        Path(self.directory, "Conductorfile").write_text("FROM busybox\n")
        self.verb("build", "bench", f"{self.directory}/Conductorfile")
        Path("/run/netns").mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")  # of this mount namespace alone

    def verb(self, *words):
        return run(self.program, *self.roots, *words)

    def parts(self, *words):
        """Milliseconds of each operation, as conductor-bench-network measured it."""
        if not self.part.exists():
            sys.exit(f"there is no {self.part}: cmake --build --preset release --target conductor-bench-network")
        return [float(line) / 1000 for line in run(self.part, *map(str, words)).split()]

    def by_hand(self, i):
        """The commands of the seeds for container `i`, whose namespace is there; one shell, so that they cost no more."""
        net = f"10.200.{i // 60}.{4 * (i % 60)}"
        host, inside = (net.rsplit(".", 1)[0] + f".{int(net.rsplit('.', 1)[1]) + n}" for n in (1, 2))
        return ["sh", "-ec", f"""
            ip link add v{i} type veth peer name p{i}
            ip link set p{i} netns c{i}
            ip address add {host}/30 dev v{i}
            ip link set v{i} up
            ip -n c{i} link set p{i} name eth0
            ip -n c{i} address add {inside}/30 dev eth0
            ip -n c{i} link set eth0 up
            ip -n c{i} link set lo up
            ip -n c{i} route add default via {host}
            ip route replace {inside}/32 dev v{i}
            iptables -t nat -A POSTROUTING -s {inside} -j MASQUERADE
            iptables -A FORWARD -i v{i} -j ACCEPT
            iptables -A FORWARD -o v{i} -j ACCEPT
            iptables -t nat -A PREROUTING -p tcp --dport {20000 + i} -j DNAT --to {inside}:80"""]

    def attach(self):
        ours, verbs, theirs = [], [], []
        self.parts("attach", 2)
        for i in range(self.runs):
            ours += self.parts("attach", 1)
            self.verb("run", "-d", "bench", f"b{i}", "--", "sleep", "1000")
            verbs.append(timed(self.program, *self.roots, "addnetwork", f"b{i}", "-i", "-e", f"80-{10000 + i}"))
            run("ip", "netns", "add", f"c{i}")
            theirs.append(timed(*self.by_hand(i)))
        row("attach, the operation | ip and iptables", ours, theirs, goal="1/100")
        row("addnetwork, whole verb | ip and iptables", verbs, theirs)
        for i in range(self.runs):
            self.verb("stop", "-t", "0", f"b{i}")
            run("ip", "netns", "del", f"c{i}")

    def element(self):
        for what, part in (("one element", "element"), ("one element withdrawn", "withdraw")):
            empty, full = [], []
            for _ in range(5):
                empty += self.parts(part, self.runs, 0)
                full += self.parts(part, self.runs, 1000)
            row(f"{what}, beside 1000 others | beside none", full, empty)

    def traffic(self):
        row("counters of 500 links", self.parts("traffic", 10 * self.runs, 500), goal="<= 0.2 ms")

    def roundtrip(self):
        kinds = {"peers": "peers", "host": "container and host", "published": "through a published port"}
        trips = {(kind, bare): [] for kind in (*kinds, "bridge") for bare in (0, 1)}
        for _ in range(5):
            for kind, bare in trips:
                trips[kind, bare] += [1000 * figure for figure in self.parts(kind, self.runs, bare)]
        for kind in trips:  # the quietest: on a busy machine a kernel thread takes the packet over, which takes thrice as long
            trips[kind] = sorted(trips[kind])[:len(trips[kind]) // 4]
        for kind, text in kinds.items():
            row(f"{text} | without counting", trips[kind, 0], trips[kind, 1], unit="us")
            row(f"{text} | bridge", trips[kind, 0], trips["bridge", 0], unit="us")

    def throughput(self):
        if not shutil.which("iperf3"):
            print("throughput: iperf3 is not installed")
            return
        for name in ("b0", "b1"):
            self.verb("run", "-d", "bench", name, "--", "sleep", "1000")
            self.verb("addnetwork", name)
        self.verb("peer", "b0", "b1")
        described = {c["name"]: c for c in json.loads(self.verb("ps", "--json"))}
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "link", "set", "br0", "up")
        for i in (0, 1):
            run("ip", "netns", "add", f"n{i}")
            run("ip", "link", "add", f"n{i}", "type", "veth", "peer", "name", "eth0", "netns", f"n{i}")
            run("ip", "link", "set", f"n{i}", "master", "br0", "up")
            run("ip", "-n", f"n{i}", "address", "add", f"192.0.2.{i + 1}/24", "dev", "eth0")
            run("ip", "-n", f"n{i}", "link", "set", "eth0", "up")
        sides = [(["nsenter", "-t", str(described["b0"]["pid"]), "-n"], ["nsenter", "-t", str(described["b1"]["pid"]), "-n"],
                  described["b0"]["networks"][0]["address"]),
                 (["ip", "netns", "exec", "n0"], ["ip", "netns", "exec", "n1"], "192.0.2.1")]
        servers = [subprocess.Popen([*side[0], "iperf3", "-s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for side in sides]
        rates = ([], [])
        try:
            for side in sides:
                wait_until(lambda: f":{IPERF_PORT:04X} " in run(*side[0], "cat", "/proc/net/tcp", "/proc/net/tcp6"), 10,
                           lambda: "iperf3 listens")
            for _ in range(5):
                for side, found in zip(sides, rates):
                    told = json.loads(run(*side[1], "iperf3", "-c", side[2], "-t", "1", "-J"))
                    found.append(told["end"]["sum_received"]["bits_per_second"] / 1e9)
        finally:
            for server in servers:
                server.kill()
                server.wait()
        row("container to container | bridge", *rates, unit="Gbit/s", goal=">= 1")
        self.verb("stop", "-t", "0", "b0", "b1")
        for i in (0, 1):
            run("ip", "netns", "del", f"n{i}")
        run("ip", "link", "del", "br0")

    def run(self):
        docker = None
        if dockerd.is_installed():
            docker = dockerd.Dockerd(network=True)
            docker.import_busybox("bench")
        else:
            print("run: docker is not installed")
        # One that stays: the table is made once, not for each.
        self.verb("run", "-d", "--internet", "bench", "stays", "--", "sleep", "1000")
        try:
            # Not a wait for anything: the idleness before each run is what is measured (the kernel's waits show then).
            for how, pause in (("loop", 0), ("pauses", 0.3)):
                ours, plain, theirs = [], [], []
                for _ in range(self.runs):
                    time.sleep(pause)
                    ours.append(timed(self.program, *self.roots, "run", "--rm", "--internet", "bench", "--", "/bin/true"))
                    time.sleep(pause)
                    plain.append(timed(self.program, *self.roots, "run", "--rm", "bench", "--", "/bin/true"))
                    if docker:
                        theirs.append(timed(*docker.command("run", "--rm", "bench", "/bin/true")))
                row(f"run --rm --internet | docker, {how}", ours, theirs or None, goal="<= 8 ms" if pause else "")
                row(f"run --rm --internet | run --rm, {how}", ours, plain)
        finally:
            self.verb("stop", "-t", "0", "stays")
            if docker:
                docker.close()

    def close(self):
        for container in json.loads(self.verb("ps", "-a", "--json")):
            self.verb("rm", "-f", container["name"])
        shutil.rmtree(self.directory)


def main():
    rows = ("attach", "element", "traffic", "roundtrip", "throughput", "run")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(TOP / "build/release/conductor"))
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--directory", default="/dev/shm", help="where the state directory is made")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="of: " + ", ".join(rows))
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        os.execve(TOP / "tests/support/private", ["private", sys.executable, __file__, *sys.argv[1:]], {**os.environ, INSIDE: "1"})
    bench = Bench(arguments)
    try:
        for name in arguments.rows or rows:
            getattr(bench, name)()
    finally:
        bench.close()


main()
