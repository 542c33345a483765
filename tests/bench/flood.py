#!/usr/bin/env python3
"""How long a flood in a pane takes, beside tmux: the same bytes, written by the same programs, into a pane of 80x30.

Each row types one command into both shells in turn, A B A B ..., and takes the time until the shell says, through a file,
that the command has ended: until the terminal has taken the bytes. Both sides' own terminal is read as fast as it
writes. Prints the median of both sides, their ratio, the processor time of the console and of tmux (server and
client), and what they sent to the terminal. Needs root and tmux; leaves nothing behind.

  sudo tests/bench/flood.py [--program build/release/conductor] [--runs 5] [ROW...]
"""

import argparse
import fcntl
import os
import pty
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

LOG_LINE = b"2026-11-22T09:44:02Z INFO nginx: GET /index.html 200 served in 3 ms to 10.42.0.5\n"
LOG_BYTES = 40_000_000

ROWS = {
    # name: (command, bytes); the programs are the host's, on both sides
    "yes": ("/usr/bin/yes | /usr/bin/head -c 40000000", 40_000_000),
    "yes, a write a line": ("{busybox} yes | {busybox} head -c 1000000", 1_000_000),
    "cat": ("/usr/bin/cat {shared}/log", LOG_BYTES),
    "seq": ("/usr/bin/seq 1 3000000", 22_888_896),
}
GOAL = 1.3  # times tmux


class Screen:
    """A program on a terminal that is read at once and thrown away."""

    def __init__(self, command, rows, columns, environment):
        self.received, self.tail = 0, b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        while True:
            try:
                got = os.read(self.master, 1 << 16)
            except OSError:
                return
            if not got:
                return
            self.received += len(got)
            self.tail = (self.tail + got)[-100_000:]

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text.encode() not in self.tail:
            if time.monotonic() > end:
                sys.exit(f"no {text!r} in {self.tail[-2000:]!r}")
            time.sleep(0.01)


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Side:
    """One terminal with a shell in it, that can run a command and tell when it is done."""

    def __init__(self, screen, pids, shared_outside, inside):
        self.screen, self.pids, self.inside = screen, pids, inside
        self.done_file = os.path.join(shared_outside, "done")

    def run(self, command):
        if os.path.exists(self.done_file):
            os.unlink(self.done_file)
        received, cpu, began = self.screen.received, cpu_seconds(self.pids), time.perf_counter()
        self.screen.type(f"{command}; : > {{shared}}/done\r".format(**self.inside))
        while not os.path.exists(self.done_file):
            time.sleep(0.0005)
            if time.perf_counter() - began > 300:
                sys.exit(f"{command} does not end")
        took = time.perf_counter() - began
        time.sleep(0.3)  # the last frame
        return took, cpu_seconds(self.pids) - cpu, self.screen.received - received


class Bench:
    def __init__(self, arguments):
        self.program = os.path.abspath(arguments.program)
        self.screens = []
        self.directory = tempfile.mkdtemp(prefix="conductor-flood-", dir=arguments.directory)
        self.roots = ["--root", f"{self.directory}/root", "--run", f"{self.directory}/run"]
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONDUCTOR_") and k != "TMUX"}
        self.environment.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
        for side in ("ours", "theirs"):
            os.mkdir(f"{self.directory}/{side}")
            with open(f"{self.directory}/{side}/log", "wb") as file:
                file.write((LOG_LINE * (LOG_BYTES // len(LOG_LINE) + 1))[:LOG_BYTES])
        with open(f"{self.directory}/Conductorfile", "w") as file:
            file.write("FROM busybox\n")

    def verb(self, *words):
        done = subprocess.run([self.program, *self.roots, *words], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def ours(self):
        self.verb("build", "bench", f"{self.directory}/Conductorfile")
        shared = f"{self.directory}/ours"
        os.chmod(shared, 0o777)
        os.chmod(self.directory, 0o755)
        host = [part for place in ("/usr:/usr", "/usr/lib:/lib", "/usr/lib64:/lib64")
                if os.path.isdir(place.split(":")[0]) for part in ("-v", f"{place}:ro")]
        self.verb("run", "bench", "flood", "-d", "-t", "-v", f"{shared}:/shared", *host, "--", "/bin/sh")
        screen = Screen([self.program, *self.roots, "console"], 35, 120, self.environment)
        self.screens.append(screen)
        screen.wait_for("flood")
        screen.type("e")
        screen.wait_for("/ #")
        return Side(screen, [screen.pid], shared, {"shared": "/shared", "busybox": "/bin/busybox"})

    def theirs(self):
        shared = f"{self.directory}/theirs"
        busybox = f"{self.directory}/busybox"
        layers = f"{self.directory}/root/layers"
        found = next(path for layer in os.listdir(layers)
                     for path in [f"{layers}/{layer}/diff/bin/busybox"] if os.path.exists(path))
        shutil.copy(found, busybox)
        socket = f"{self.directory}/tmux"
        environment = {**self.environment, "PS1": "/ # "}
        screen = Screen(["tmux", "-S", socket, "-f", "/dev/null", "new-session", "-c", "/", "--", busybox, "sh"],
                        31, 80, environment)
        self.screens.append(screen)
        screen.wait_for("/ #")
        server = subprocess.run(["tmux", "-S", socket, "display-message", "-p", "#{pid}"], capture_output=True, text=True)
        return Side(screen, [screen.pid, int(server.stdout)], shared, {"shared": shared, "busybox": busybox})

    def close(self):
        for screen in self.screens:
            screen.close()
        subprocess.run(["tmux", "-S", f"{self.directory}/tmux", "kill-server"], capture_output=True)
        subprocess.run([self.program, *self.roots, "rm", "-f", "flood"], capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="; ".join(ROWS))
    parser.add_argument("--program", default="build/release/conductor")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--ours", action="store_true", help="without tmux, for a profiler")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and clean up
    bench = Bench(arguments)
    try:
        sides = {"ours": bench.ours()}
        if not arguments.ours and shutil.which("tmux"):
            sides["tmux"] = bench.theirs()
        elif not arguments.ours:
            print("tmux is not installed: ours alone")
        if arguments.ours:
            print("console:", sides["ours"].pids)
        for name in arguments.rows or ROWS:
            command, size = ROWS[name]
            taken = {side: [] for side in sides}
            for number in range(arguments.runs + 1):
                for side in sides:
                    one = sides[side].run(command)
                    if number > 0:  # the first run warms up
                        taken[side].append(one)
            print(f"{name:22}", end="")
            middle = {}
            for side, runs in taken.items():
                middle[side] = statistics.median(run[0] for run in runs)
                cpu = statistics.median(run[1] for run in runs)
                sent = statistics.median(run[2] for run in runs)
                print(f" {side} {middle[side]:6.2f} s ({size / middle[side] / 1e6:5.1f} MB/s, cpu {cpu:5.2f} s, "
                      f"{sent / 1e6:6.2f} MB out) ", end="")
            if "tmux" in middle:
                print(f" ratio {middle['ours'] / middle['tmux']:.2f}, goal {GOAL}", end="")
            print(flush=True)
    finally:
        bench.close()


main()
