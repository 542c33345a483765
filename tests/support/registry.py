"""A registry on loopback for a test: Debian's docker-registry, filled and read by skopeo, with or without passwords,
tokens and TLS. Everything lies below one directory and ends with the test."""
import base64
import ctypes
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from .waiting import wait_until


def need(*programs):
    """Skips the test, loudly, where a program is missing (a failure with CI=true)."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (./bootstrap deps installs it)")


def bcrypt(password):
    """As docker-registry wants it. libxcrypt makes it; Python's own way to it is going away."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    return library.crypt(password.encode(), b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


class Registry:
    """docker-registry on 127.0.0.1. auth: None, "htpasswd" (user with password secret), or a TokenServer. tls: True for a
    certificate of its own authority, which is then in `ca`."""

    def __init__(self, directory, auth=None, tls=False, host="127.0.0.1"):
        need("docker-registry", "skopeo")
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.host = f"{host}:{self.port}"
        self.ca = None
        settings = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{self.port}", "secret": "test"},
        }
        if auth == "htpasswd":
            (self.directory / "htpasswd").write_text(f"user:{bcrypt('secret')}\n")
            settings["auth"] = {"htpasswd": {"realm": "test", "path": str(self.directory / "htpasswd")}}
        elif auth is not None:
            settings["auth"] = {"token": {"realm": auth.realm, "service": auth.service, "issuer": auth.issuer,
                                          "rootcertbundle": str(auth.certificate)}}
        if tls:
            self.make_certificates(host)
            settings["http"]["tls"] = {"certificate": str(self.directory / "server.crt"),
                                       "key": str(self.directory / "server.key")}
        self.url = f"http{'s' if tls else ''}://{self.host}"
        file = self.directory / "config.json"  # YAML reads JSON
        file.write_text(json.dumps(settings))
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(["docker-registry", "serve", str(file)], stdout=self.log, stderr=self.log)
        wait_until(self.answers, 10, lambda: (self.directory / "log").read_text())

    def answers(self):
        assert self.process.poll() is None, "docker-registry has ended"
        with socket.socket() as any_socket:
            return any_socket.connect_ex(("127.0.0.1", self.port)) == 0

    def make_certificates(self, host):
        need("openssl")
        make_authority(self.directory / "ca")
        self.ca = self.directory / "ca.crt"
        make_certificate(self.directory / "server", self.directory / "ca", host)

    def skopeo(self, *arguments, credentials=None):
        """Runs skopeo copy or inspect and returns what it prints."""
        command = ["skopeo", "--insecure-policy", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def fill(self, source, name, *options):
        """Copies an image from skopeo's `source` (oci:..., dir:...) to NAME[:TAG] here."""
        return self.skopeo("copy", "--dest-tls-verify=false", *options, source, f"docker://{self.host}/{name}")

    def raw(self, name, *options):
        """The manifest of NAME[:TAG] as the registry has it."""
        return json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", *options, f"docker://{self.host}/{name}"))

    def repositories(self):
        with urllib.request.urlopen(self.url + "/v2/_catalog") as answer:
            return json.load(answer)["repositories"]

    def request(self, method, path, data=None, headers=None):
        """One request without a password; the answer's headers."""
        made = urllib.request.Request(path if "://" in path else self.url + path, data, headers or {}, method=method)
        with urllib.request.urlopen(made) as answer:
            return answer.headers

    def send_blob(self, name, data):
        place = self.request("POST", f"/v2/{name}/blobs/uploads/", b"")["Location"]
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.request("PUT", f"{place}&digest={digest}", data, {"Content-Type": "application/octet-stream"})

    def send_manifest(self, name, raw, media_type):
        repository, _, tag = name.partition(":")
        self.request("PUT", f"/v2/{repository}/manifests/{tag or 'latest'}", raw, {"Content-Type": media_type})

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def make_authority(path):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=an authority of the test", "-keyout", f"{path}.key", "-out", f"{path}.crt")


def make_certificate(path, authority, host):
    kind = "IP" if host[0].isdigit() else "DNS"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={host}",
            "-keyout", f"{path}.key", "-out", f"{path}.csr")
    Path(f"{path}.ext").write_text(f"subjectAltName={kind}:{host}\n")
    openssl("x509", "-req", "-in", f"{path}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{path}.ext", "-out", f"{path}.crt")


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class TokenServer:
    """Gives tokens for docker-registry (JWT, RS256) to user/secret, and for pulling to everybody when `anonymous`.

    `asked` is a list of what each request had: path, query and the Authorization header."""

    def __init__(self, directory, anonymous=False):
        need("openssl")
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.issuer, self.service, self.anonymous, self.asked = "test issuer", "test registry", anonymous, []
        self.key, self.certificate = directory / "token.key", directory / "token.crt"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens", "-keyout", self.key,
                "-out", self.certificate)
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.answer(self)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self.server.server_port}/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        parts = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(parts.query)
        given = request.headers.get("Authorization")
        self.asked.append({"path": parts.path, "query": query, "authorization": given})
        known = given == "Basic " + base64.b64encode(b"user:secret").decode()
        if given and not known or not given and not self.anonymous:
            return self.reply(request, 401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]})
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            allowed = [a for a in actions.split(",") if known or a == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        return self.reply(request, 200, {"token": self.token(access), "expires_in": 300})

    @staticmethod
    def reply(request, status, document):
        body = json.dumps(document).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def token(self, access):
        der = ssl.PEM_cert_to_DER_cert(self.certificate.read_text())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": self.issuer, "aud": self.service, "sub": "user", "exp": 4_000_000_000, "nbf": 0, "iat": 0,
                  "jti": os.urandom(8).hex(), "access": access}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=signed.encode(), check=True,
                                   capture_output=True).stdout
        return f"{signed}.{base64url(signature)}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
