#!/usr/bin/env python3
"""How long a rebuild takes: all of 5 steps cached with 200 copied files, and after one 4 MB file of the 200 changed.

Each row is whole processes. Beside docker, both sides interleaved, where its daemon answers; where it does not, ours alone.
The image of docker is made from the same busybox. Needs root; makes a root and a run directory of its own below a temporary
directory and leaves nothing (docker keeps its layers: `docker rmi conductor-bench` removes what is named).

  sudo tests/bench/build.py [--program build/release/conductor] [--runs 20] [--pause 0.1] [ROW...]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

RECIPE = """FROM {base}
ENV MODE=fast
RUN echo one > /one
COPY app /opt/app
RUN echo two > /two
CMD ["sh"]
"""
FILES, BIG = 200, 4 << 20


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.program = os.path.abspath(arguments.program)
        self.directory = tempfile.mkdtemp(prefix="conductor-bench-", dir=arguments.directory)
        self.null = os.open("/dev/null", os.O_RDWR)
        self.context = f"{self.directory}/context"
        os.makedirs(f"{self.context}/app")
        for number in range(FILES):
            with open(f"{self.context}/app/f{number}", "wb") as file:
                file.write(os.urandom(BIG if number == 17 else 20_000))
        with open(f"{self.context}/Conductorfile", "w") as file:
            file.write(RECIPE.format(base="busybox"))
        self.ours = [self.program, "--root", f"{self.directory}/root", "--run", f"{self.directory}/run", "build", "bench",
                     f"{self.context}/Conductorfile", "--network", "none"]
        self.theirs = None
        if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
            self.prepare_docker()
        self.once(self.ours)

    def prepare_docker(self):
        busybox = os.path.join(os.path.dirname(self.program), "share/busybox")
        tree = f"{self.directory}/busybox"
        os.makedirs(f"{tree}/bin")
        shutil.copy(busybox if os.path.exists(busybox) else "/bin/busybox", f"{tree}/bin/busybox")
        os.symlink("busybox", f"{tree}/bin/sh")
        packed = subprocess.run(["tar", "-C", tree, "-c", "."], capture_output=True, check=True).stdout
        subprocess.run(["docker", "import", "-", "conductor-bench-base"], input=packed, capture_output=True, check=True)
        with open(f"{self.context}/Dockerfile", "w") as file:
            file.write(RECIPE.format(base="conductor-bench-base"))
        self.theirs = ["docker", "build", "--network=none", "-q", "-t", "conductor-bench", self.context]
        self.once(self.theirs)

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

    def compare(self, name, goal, before):
        """before() runs outside the clock, in front of each run."""
        for pause in (0, self.arguments.pause):
            mine, rival = [], []
            for number in range(self.arguments.runs + 1):
                before()
                time.sleep(pause)
                a = self.once(self.ours)
                b = None
                if self.theirs:
                    before()
                    time.sleep(pause)
                    b = self.once(self.theirs)
                if number == 0:
                    continue  # the first run warms up
                mine.append(a)
                rival.append(b)
            text = f"{name:34} {'pauses' if pause else 'loop':7} ours {statistics.median(mine):8.2f} ms"
            if self.theirs:
                text += f"   docker {statistics.median(rival):8.2f} ms   ratio {statistics.median(mine) / statistics.median(rival):5.2f}"
            print(f"{text}   goal {goal}", flush=True)

    def row_cached(self):
        time.sleep(0.1)  # a file that changed just now is read again next time
        self.once(self.ours)
        self.compare("rebuild, 5 steps, 200 files cached", "<= 8 ms", lambda: None)

    def row_changed(self):
        def change():
            with open(f"{self.context}/app/f17", "wb") as file:
                file.write(os.urandom(BIG))

        self.compare("rebuild, one 4 MB file changed", "<= 40 ms", change)

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    rows = [name[4:] for name in dir(Bench) if name.startswith("row_")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--program", default=f"{here}/../../build/release/conductor")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds before each run of the second half")
    parser.add_argument("--directory", default="/var/tmp", help="where the state directory is made")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(rows)}")
    arguments = parser.parse_args()
    for row in arguments.rows:
        if row not in rows:
            parser.error(f"no row '{row}'; there are: {', '.join(rows)}")
    bench = Bench(arguments)
    try:
        if not bench.theirs:
            print("not here, so not compared: docker (its daemon does not answer)")
        for row in arguments.rows or rows:
            getattr(bench, f"row_{row}")()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
