#!/usr/bin/env python3
"""How long a pull takes, beside skopeo (which unpacks nothing), docker and podman.

An image of 4 gzip layers, 152 MB packed and 336 MB unpacked, in Debian's docker-registry on loopback. All sides run
interleaved, A B C A B C ..., each into an empty store; printed are each side's median and the ratio to ours. A rival that
is not installed is left out and named. Needs root; everything lies in one temporary directory that goes at the end.

  sudo tests/bench/pull.py [--program build/release/conductor] [--runs 7] [--directory /var/tmp] [--docker]

A busy machine measures who sleeps most, since the kernel favours those who do: there, put `chrt -r 1` in front.

--docker: start a docker daemon of our own (its own directories, no bridge, no iptables) and measure it too.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

LAYERS, PACKED, PLAIN = 4, 152_000_000, 336_000_000
FILE_SIZES = (300, 1_000, 4_000, 12_000, 40_000, 150_000, 1_000_000)


def make_layer(number, plain_bytes, noise_share):
    """A tar archive of files as distributions have them: many small ones, a few large ones, part of it hard to pack."""
    chance = random.Random(number)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 12))) for _ in range(4000)]
    text = b" ".join(chance.choices(words, k=600_000))
    out, size, index = io.BytesIO(), 0, 0
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        while size < plain_bytes:
            if index % 40 == 0:
                directory = tarfile.TarInfo(f"usr/share/layer{number}/d{index // 40}")
                directory.type, directory.mode, directory.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
                archive.addfile(directory)
            length = chance.choice(FILE_SIZES) * chance.randint(50, 150) // 100
            if chance.random() < noise_share:
                data = chance.randbytes(length)
            else:
                at = chance.randrange(max(1, len(text) - length))
                data = text[at:at + length]
            info = tarfile.TarInfo(f"usr/share/layer{number}/d{index // 40}/file{index}")
            info.size, info.mode, info.mtime = len(data), 0o644, 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
            size, index = size + length, index + 1
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def write_layout(directory):
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def add(data, media_type):
        (blobs / digest(data)[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    layers, diff_ids = [], []
    for number in range(LAYERS):
        plain = make_layer(number, PLAIN // LAYERS, 0.13)
        diff_ids.append(digest(plain))
        layers.append(add(gzip.compress(plain, 6, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"))
    config = {"architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux",
              "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": add(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"), "layers": layers}
    entry = add(json.dumps(manifest).encode(), manifest["mediaType"])
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return sum(layer["size"] for layer in layers)


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


def wait_for(condition, deadline=30):
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            sys.exit("not ready in time")
        time.sleep(0.05)


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.top = Path(tempfile.mkdtemp(prefix="conductor-pull-", dir=arguments.directory))
        self.children, self.roots, self.copies = [], 0, 0
        self.port = free_port()
        self.image = f"127.0.0.1:{self.port}/bench:latest"

    def quiet(self, *command, env=None):
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")

    def spawn(self, *command):
        log = open(self.top / "log", "ab")
        self.children.append(subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def start_registry(self):
        config = {"version": 0.1, "log": {"level": "error", "accesslog": {"disabled": True}},
                  "storage": {"filesystem": {"rootdirectory": str(self.top / "registry")}},
                  "http": {"addr": f"127.0.0.1:{self.port}"}}
        (self.top / "registry.json").write_text(json.dumps(config))
        self.spawn("docker-registry", "serve", self.top / "registry.json")

        def answers():
            with socket.socket() as any_socket:
                return any_socket.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for(answers)
        packed = write_layout(self.top / "layout")
        print(f"the image: {LAYERS} layers, {packed / 1e6:.0f} MB packed, {PLAIN / 1e6:.0f} MB unpacked", flush=True)
        self.quiet("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", f"oci:{self.top}/layout:latest",
                   f"docker://{self.image}")
        shutil.rmtree(self.top / "layout")

    def start_docker(self):
        self.socket = f"unix://{self.top}/docker.sock"
        self.spawn("dockerd", "--host", self.socket, "--data-root", self.top / "docker", "--exec-root",
                   self.top / "docker-run", "--pidfile", self.top / "docker.pid", "--bridge=none", "--iptables=false",
                   "--ip6tables=false", "--ip-forward=false", "--storage-driver=overlay2")
        wait_for(lambda: subprocess.run(["docker", "-H", self.socket, "info"], capture_output=True).returncode == 0)

    # ---- one run each: () -> seconds, into an empty store

    def timed(self, *command):
        os.sync()  # what others wrote is not ours to wait for
        began = time.perf_counter()
        self.quiet(*command)
        return time.perf_counter() - began

    def ours(self):
        # A root of its own each time, and nothing is deleted in between: ext4 does not take an inode again within a
        # minute of its end, and searches long for another (recently_deleted() in fs/ext4/ialloc.c).
        self.roots += 1
        roots = ["--root", self.top / f"root-{self.roots}", "--run", self.top / f"run-{self.roots}"]
        self.quiet(self.arguments.program, *roots, "images")
        return self.timed(self.arguments.program, *roots, "pull", self.image)

    def skopeo(self):
        self.copies += 1
        return self.timed("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", f"docker://{self.image}",
                          f"dir:{self.top}/copy-{self.copies}")

    def docker(self):
        subprocess.run(["docker", "-H", self.socket, "rmi", "-f", self.image], capture_output=True)
        return self.timed("docker", "-H", self.socket, "pull", "-q", self.image)

    def podman(self):
        roots = ["--root", self.top / "podman", "--runroot", self.top / "podman-run"]
        subprocess.run(["podman", *map(str, roots), "rmi", "-f", self.image], capture_output=True)
        return self.timed("podman", *roots, "pull", "-q", "--tls-verify=false", self.image)

    def run(self):
        self.start_registry()
        sides = {"conductor": self.ours, "skopeo copy dir:": self.skopeo}
        if self.arguments.docker:
            self.start_docker()
            sides["docker"] = self.docker
        if shutil.which("podman"):
            sides["podman"] = self.podman
        else:
            print("podman is not installed: left out")
        times = {name: [] for name in sides}
        for number in range(self.arguments.runs + 1):
            for name, once in sides.items():
                took = once()
                if number > 0:  # the first run warms up
                    times[name].append(took)
        ours = statistics.median(times["conductor"])
        goals = {"skopeo copy dir:": "goal <= 1.7", "docker": "goal <= 0.25"}
        for name, taken in times.items():
            middle = statistics.median(taken)
            ratio = "" if name == "conductor" else f"   ours / theirs {ours / middle:5.2f}   {goals.get(name, '')}"
            print(f"{name:18} {middle * 1000:8.0f} ms{ratio}", flush=True)

    def close(self):
        for child in reversed(self.children):
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(str(self.top)):
                subprocess.run(["umount", "-l", line.split()[4]], check=False)
        shutil.rmtree(self.top, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/conductor")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--docker", action="store_true")
    bench = Bench(parser.parse_args())
    bench.arguments.program = os.path.abspath(bench.arguments.program)
    for program in ("docker-registry", "skopeo"):
        if not shutil.which(program):
            sys.exit(f"{program} is not installed")
    try:
        bench.run()
    finally:
        bench.close()


main()
