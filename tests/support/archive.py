"""A small signed package archive on loopback: what a mirror of a distribution looks like to debootstrap and apt."""
import functools
import gzip
import hashlib
import http.server
import subprocess
import threading
from pathlib import Path


class Archive:
    """Serves the .deb files of a directory as one suite, signed with a key of its own."""

    def __init__(self, top, debs, suite, origin):
        self.top = Path(top)
        self.keyring = self.top / "archive.gpg"
        self.home = self.top / "gnupg"
        self.home.mkdir(mode=0o700)
        pool = self.top / "site/pool"
        pool.mkdir(parents=True)
        for deb in debs:
            (pool / deb.name).write_bytes(deb.read_bytes())
        self.write_indexes(pool, suite, origin)
        handler = functools.partial(QuietHandler, directory=str(self.top / "site"))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def gpg(self, *arguments):
        subprocess.run(["gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback",
                        "--passphrase", "", *map(str, arguments)], check=True, capture_output=True)

    def write_indexes(self, pool, suite, origin):
        architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
        entries = []
        for deb in sorted(pool.iterdir()):
            fields = subprocess.run(["dpkg-deb", "-f", deb], check=True, capture_output=True, text=True).stdout
            entries.append(f"{fields}Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\n"
                           f"SHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n")
        packages = "\n".join(entries).encode()
        directory = self.top / "site/dists" / suite
        binary = directory / f"main/binary-{architecture}"
        binary.mkdir(parents=True)
        (binary / "Packages").write_bytes(packages)
        (binary / "Packages.gz").write_bytes(gzip.compress(packages))
        sums = "".join(f" {hashlib.sha256(f.read_bytes()).hexdigest()} {f.stat().st_size} {f.relative_to(directory)}\n"
                       for f in sorted(binary.iterdir()))
        (directory / "Release").write_text(f"Origin: {origin}\nLabel: {origin}\nSuite: {suite}\nCodename: {suite}\n"
                                           f"Date: Sun, 01 Nov 2026 00:00:00 UTC\nArchitectures: {architecture}\n"
                                           f"Components: main\nSHA256:\n{sums}")
        self.gpg("--quick-generate-key", "archive@example.invalid", "rsa2048", "sign", "never")
        self.gpg("--clearsign", "--output", directory / "InRelease", directory / "Release")
        self.gpg("--detach-sign", "--armor", "--output", directory / "Release.gpg", directory / "Release")
        self.gpg("--output", self.keyring, "--export")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False, capture_output=True)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass
