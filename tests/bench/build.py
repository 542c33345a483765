#!/usr/bin/env python3
"""How long a build takes: all of 5 steps cached with 200 copied files, after one 4 MB file of the 200 changed, and the base
image debian:bookworm from nothing.

Each row is whole processes, both sides interleaved. The rebuilds stand beside docker, in a daemon of our own (directories
of its own, no bridge, no firewall rules) and with the same busybox; it is docker's classic builder, since its command line
as Debian has it brings no plug-in for the other. The base image stands beside mmdebstrap alone, with the same variant,
packages and archives; it takes minutes and the network, so it is made only when named, and once unless --runs says more.
A rival that is not installed is named and left out. Needs root; everything lies below one temporary directory that goes
at the end.

  sudo tests/bench/build.py [--program build/release/conductor] [--runs 20] [--pause 0.1] [cached] [changed] [base]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from support import dockerd  # noqa: E402

RECIPE = """FROM {base}
ENV MODE=fast
RUN echo one > /one
COPY app /opt/app
RUN echo two > /two
CMD ["sh"]
"""
FILES, BIG = 200, 4 << 20
SUITE = "bookworm"


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
        self.ours = self.conductor("", "build", "bench", f"{self.context}/Conductorfile", "--network", "none")
        self.daemon = self.theirs = None

    def conductor(self, number, *words):
        """A command with the root of that number."""
        return [self.program, "--root", f"{self.directory}/root{number}", "--run", f"{self.directory}/run{number}", *words]

    def prepare_rebuilds(self):
        if self.daemon is None and self.arguments.docker:
            if dockerd.is_installed():
                self.prepare_docker()
            else:
                print("docker, dockerd or containerd is not installed: left out")
        self.arguments.docker = False  # once is enough
        self.once(self.ours)

    def prepare_docker(self):
        self.daemon = dockerd.Dockerd(self.arguments.directory)
        busybox = os.path.join(os.path.dirname(self.program), "share/busybox")
        self.daemon.import_busybox("conductor-bench-base", busybox if os.path.exists(busybox) else "/bin/busybox")
        with open(f"{self.context}/Dockerfile", "w") as file:
            file.write(RECIPE.format(base="conductor-bench-base"))
        version = self.daemon.run("version", "--format", "{{.Server.Version}}").stdout.decode().strip()
        print(f"docker is {version}, classic builder")
        self.theirs = self.daemon.command("build", "--network=none", "-q", "-t", "conductor-bench", self.context)
        self.once(self.theirs)

    def once(self, command):
        """Wall-clock milliseconds of one whole process."""
        actions = [(os.POSIX_SPAWN_DUP2, self.null, fd) for fd in (0, 1, 2)]
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        began = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        took = (time.perf_counter() - began) * 1000
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"failed: {' '.join(command)}")
        return took

    def compare(self, name, goal, before):
        """before() runs outside the clock, in front of each run."""
        for pause in (0, self.arguments.pause):
            mine, rival = [], []
            for number in range((self.arguments.runs or 20) + 1):
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
            print(f"{text}   goal {goal}   load {os.getloadavg()[0]:.1f}", flush=True)

    def row_cached(self):
        self.prepare_rebuilds()
        time.sleep(0.1)  # a file that changed just now is read again next time
        self.once(self.ours)
        self.compare("rebuild, 5 steps, 200 files cached", "<= 8 ms", lambda: None)

    def row_changed(self):
        self.prepare_rebuilds()

        def change():
            with open(f"{self.context}/app/f17", "wb") as file:
                file.write(os.urandom(BIG))

        self.compare("rebuild, one 4 MB file changed", "<= 40 ms", change)

    # ---- the base image

    def mmdebstrap(self, tree):
        """What a person would type for the same tree: minbase with apt, from where the host's apt gets its packages."""
        listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                                 "Created-By: Packages"], capture_output=True, text=True, check=True).stdout
        sources = [f"deb {line}" for line in dict.fromkeys(listed.splitlines())
                   if line.split()[1:] in [[f"{SUITE}{part}", "main"] for part in ("", "-updates", "-security")]]
        if not sources:
            sys.exit(f"the host's apt knows no archive of {SUITE}, or has not fetched its lists (apt-get update)")
        packages = "apt,ca-certificates" if any("https:" in source for source in sources) else "apt"
        options = subprocess.run(["apt-config", "dump", "--no-empty", "Acquire::http", "Acquire::https"],
                                 capture_output=True, text=True, check=True).stdout.splitlines()
        # The hook keeps the packages the same: without it perl comes along to merge /usr.
        return ["mmdebstrap", "--variant=minbase", "--mode=root", f"--include={packages}", "--format=directory",
                "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
                "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
                *(f"--aptopt={option}" for option in options if option.endswith('";')), SUITE, tree, *sources]

    def row_base(self):
        with open(f"{self.directory}/Base", "w") as file:
            file.write(f"FROM debian:{SUITE}\n")
        rival = shutil.which("mmdebstrap")
        if not rival:
            print("mmdebstrap is not installed: left out (and conductor then takes debootstrap)")
        mine, theirs, again = [], [], []
        for number in range(self.arguments.runs or 1):
            build = self.conductor(f"-base-{number}", "build", "base", f"{self.directory}/Base")
            # Who is first pays for a cold cache of the archive on its way here.
            sides = [lambda: mine.append(self.once(build)),
                     lambda: theirs.append(self.once(self.mmdebstrap(f"{self.directory}/tree-{number}")))]
            for side in (sides if number % 2 else reversed(sides)) if rival else sides[:1]:
                side()
            again.append(self.once(build))
        text = f"base image debian:{SUITE:17} {len(mine)} runs  ours {statistics.median(mine):8.0f} ms"
        if rival:
            text += f"   mmdebstrap {statistics.median(theirs):8.0f} ms   ratio {statistics.median(mine) / statistics.median(theirs):5.2f}"
        print(f"{text}   goal <= 1   load {os.getloadavg()[0]:.1f}")
        print(f"{'the same again, from the cache':44} ours {statistics.median(again):8.2f} ms", flush=True)

    def close(self):
        if self.daemon:
            self.daemon.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    rows = [name[4:] for name in dir(Bench) if name.startswith("row_")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--program", default=f"{here}/../../build/release/conductor")
    parser.add_argument("--runs", type=int, help="of each side (20; of base 1)")
    parser.add_argument("--no-docker", dest="docker", action="store_false", help="ours alone")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds before each run of the second half")
    parser.add_argument("--directory", default="/var/tmp", help="where the state directory is made")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(rows)}")
    arguments = parser.parse_args()
    for row in arguments.rows:
        if row not in rows:
            parser.error(f"no row '{row}'; there are: {', '.join(rows)}")
    bench = Bench(arguments)
    try:
        for row in arguments.rows or ("cached", "changed"):
            getattr(bench, f"row_{row}")()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
