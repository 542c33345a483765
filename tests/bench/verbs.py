#!/usr/bin/env python3
"""How long run, exec, ps and stop take, beside bubblewrap and docker.

Each row runs both sides interleaved, A B A B ..., as whole processes, and prints each side's median and the ratio of the
medians. Every row is taken twice: in a loop, and with a pause before each run, as a person at a console makes it, since
a tight loop hides the kernel's waits. A rival that is not installed is left out and named. Needs root; makes a root and
a run directory of its own below a temporary directory and leaves nothing.

  sudo tests/bench/verbs.py [--program build/release/conductor] [--runs 30] [--pause 0.1] [ROW...]
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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import dockerd

BWRAP = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Dirty", "Private_Clean")))


def processes(name):
    """Pids of the living processes whose name begins so (the kernel keeps 15 characters)."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status") as file:
                fields = dict(line.split(":", 1) for line in file)
        except OSError:
            continue
        if fields["Name"].strip().startswith(name[:15]) and "VmRSS" in fields:
            found.append(int(pid))
    return found


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.program = os.path.abspath(arguments.program)
        self.directory = tempfile.mkdtemp(prefix="conductor-bench-", dir=arguments.directory)
        self.roots = ["--root", f"{self.directory}/root", "--run", f"{self.directory}/run"]
        self.null = os.open("/dev/null", os.O_RDWR)
        with open(f"{self.directory}/Conductorfile", "w") as file:
            file.write("FROM busybox\n")
        self.verb("build", "bench", f"{self.directory}/Conductorfile")
        self.docker = None
        if dockerd.is_installed():
            self.docker = dockerd.Dockerd()
            self.docker.import_busybox("bench")

    def conductor(self, *words):
        return [self.program, *self.roots, *words]

    def verb(self, *words):
        done = subprocess.run(self.conductor(*words), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def quiet(self, command):
        return subprocess.run(command, stdin=self.null, stdout=self.null, stderr=self.null).returncode

    def once(self, command):
        """Wall-clock milliseconds of one whole process."""
        actions = [(os.POSIX_SPAWN_DUP2, self.null, fd) for fd in (0, 1, 2)]
        began = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        took = (time.perf_counter() - began) * 1000
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"failed: {' '.join(command)}")
        return took

    def compare(self, name, goal, ours, theirs, runs=None, before_ours=None):
        """ours, theirs: () -> milliseconds; theirs may be None. before_ours runs outside the clock."""
        for pause in (0, self.arguments.pause):
            mine, rival = [], []
            for number in range((runs or self.arguments.runs) + 1):
                if before_ours:
                    before_ours()
                time.sleep(pause)
                a = ours()
                time.sleep(pause)
                b = theirs() if theirs else None
                if number == 0:
                    continue  # the first run warms up
                mine.append(a)
                if theirs:
                    rival.append(b)
            text = f"{name:34} {'pauses' if pause else 'loop':7} ours {statistics.median(mine):8.2f} ms"
            if rival:
                ratio = statistics.median(mine) / statistics.median(rival)
                text += f"   theirs {statistics.median(rival):8.2f} ms   ratio {ratio:5.2f}"
            print(f"{text}   goal {goal}" if goal else text, flush=True)

    def bwrap(self):
        return (lambda: self.once(BWRAP)) if shutil.which("bwrap") else None

    def row_run(self):
        ours = lambda: self.once(self.conductor("run", "--rm", "bench", "--", "/bin/true"))
        self.compare("run /bin/true | bwrap", "<= 1.0 pauses, <= 1.5 loop", ours, self.bwrap())
        if self.docker:
            theirs = lambda: self.once(self.docker.command("run", "--rm", "--network", "none", "bench", "/bin/true"))
            self.compare("run /bin/true | docker", "<= 1/60", ours, theirs, runs=10)

    def row_exec(self):
        self.verb("run", "bench", "standing", "-d", "--", "sleep", "1000")
        ours = lambda: self.once(self.conductor("exec", "standing", "--", "/bin/true"))
        self.compare("exec /bin/true | bwrap", "<= 0.6", ours, self.bwrap())
        if self.docker:
            self.docker.run("run", "-d", "--name", "standing", "--network", "none", "bench", "sleep", "1000")
            theirs = lambda: self.once(self.docker.command("exec", "standing", "/bin/true"))
            self.compare("exec /bin/true | docker", "<= 1/20", ours, theirs, runs=10)
            self.docker.run("rm", "-f", "standing")
        self.verb("stop", "standing")

    def row_ps(self):
        names = [f"p{number}" for number in range(20)]
        for name in names:
            self.verb("run", "bench", name, "-d", "--", "sleep", "1000")
        ours = lambda: self.once(self.conductor("ps"))
        self.compare("ps, 20 containers | bwrap", "<= 0.5", ours, self.bwrap())
        if self.docker:
            for name in names:
                self.docker.run("run", "-d", "--name", name, "--network", "none", "bench", "sleep", "1000")
            self.compare("ps, 20 containers | docker", "", ours, lambda: self.once(self.docker.command("ps")), runs=10)
            self.docker.run("rm", "-f", *names)
        self.verb("stop", *names)

    def row_stop(self):
        def prepare():
            self.verb("run", "bench", "victim", "-d", "--", "sleep", "1000")

        ours = lambda: self.once(self.conductor("stop", "victim"))
        self.compare("stop and remove", "<= 8 ms", ours, None, before_ours=prepare)
        if self.docker:

            def prepare_both():
                prepare()
                self.docker.run("run", "-d", "--name", "victim", "--network", "none", "bench", "sleep", "1000")

            theirs = lambda: self.once(self.docker.command("rm", "-f", "victim"))
            self.compare("stop and remove | docker", "", ours, theirs, runs=10, before_ours=prepare_both)

    def row_many(self):
        def hundred():
            began = time.perf_counter()
            for number in range(100):
                self.once(self.conductor("run", "bench", f"m{number}", "-d", "--", "sleep", "1000"))
            took = (time.perf_counter() - began) * 1000
            self.verb("stop", *[f"m{number}" for number in range(100)])
            return took

        self.compare("100 started one after the other", "<= 1000 ms", hundred, None, runs=3)

    def row_standing(self):
        # Two, since the text of a program counts as private while one process alone maps it.
        names = ["kept1", "kept2"]
        for name in names:
            self.verb("run", "bench", name, "-d", "--", "sleep", "1000")
        figures = [private_kib(json.loads(self.verb("inspect", name))["keeper"]) for name in names]
        text = f"{'standing cost of a container':34} {'':7} ours {statistics.mean(figures):8.0f} KiB private"
        if self.docker:
            self.docker.run("run", "-d", "--name", "kept", "--network", "none", "bench", "sleep", "1000")
            shims = [private_kib(pid) for pid in processes("containerd-shim")]
            self.docker.run("rm", "-f", "kept")
            text += f"   docker's shim {statistics.mean(shims):8.0f} KiB" if shims else ""
        print(f"{text}   goal <= 400", flush=True)
        self.verb("stop", *names)

    def close(self):
        if self.docker:
            self.docker.close()
        listed = subprocess.run(self.conductor("ps", "-a", "-q"), capture_output=True, text=True).stdout.split()
        for name in listed:
            self.quiet(self.conductor("rm", "--force", name))
        self.quiet(self.conductor("doctor", "--fix"))
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    rows = [name[4:] for name in dir(Bench) if name.startswith("row_")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--program", default=f"{here}/../../build/release/conductor")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds before each run of the second half")
    parser.add_argument("--directory", default="/var/tmp", help="where the state directory is made")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(rows)}")
    arguments = parser.parse_args()
    for row in arguments.rows:
        if row not in rows:
            parser.error(f"no row '{row}'; there are: {', '.join(rows)}")
    bench = Bench(arguments)
    missing = [name for name, there in (("bwrap", shutil.which("bwrap")), ("docker", bench.docker)) if not there]
    if missing:
        print(f"not here, so not compared: {', '.join(missing)}")
    try:
        for row in arguments.rows or rows:
            getattr(bench, f"row_{row}")()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
