"""Images made by hand, byte by byte: layers, configuration, manifest, and an OCI layout that skopeo reads."""
import functools
import gzip
import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@functools.cache
def busybox():
    """The bytes of a static busybox: that of the build tree, or of the host."""
    from .program import program_path
    for place in (program_path().parent / "share/busybox", Path("/bin/busybox")):
        if place.exists():
            return place.read_bytes()
    raise FileNotFoundError("no busybox: ./bootstrap build makes one")


def tar(entries):
    """A plain archive of {name: bytes}, {name: None} for a directory, {name: "-> target"} for a symlink."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.mtime = 1_700_000_000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            elif isinstance(content, str) and content.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, content[3:]
                archive.addfile(info)
            else:
                raw = content.encode() if isinstance(content, str) else content
                info.size, info.mode = len(raw), 0o755
                archive.addfile(info, io.BytesIO(raw))
    return out.getvalue()


@functools.cache
def gzipped(data):
    return gzip.compress(data, 6, mtime=0)


@functools.cache
def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


PACKINGS = {"gzip": gzipped, "zstd": zstd, "": lambda data: data}


class Image:
    """layers: plain archives, base first. Blobs by digest in `blobs`, the manifest's bytes in `manifest`."""

    def __init__(self, layers, packing="gzip", docker=False, config=None, architecture=ARCHITECTURE):
        self.blobs = {}
        self.plain = layers
        self.layers = []
        for layer in layers:
            packed = PACKINGS[packing](layer)
            media_type = DOCKER_LAYER if docker else OCI_LAYER + (f"+{packing}" if packing else "")
            self.layers.append({"mediaType": media_type, "digest": self.add(packed), "size": len(packed)})
        self.configuration = {
            "architecture": architecture, "os": "linux",
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        }
        raw = json.dumps(self.configuration).encode()
        self.media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        self.document = {
            "schemaVersion": 2, "mediaType": self.media_type,
            "config": {"mediaType": DOCKER_CONFIG if docker else OCI_CONFIG, "digest": self.add(raw), "size": len(raw)},
            "layers": self.layers,
        }
        self.manifest = json.dumps(self.document).encode()

    def add(self, data):
        self.blobs[digest(data)] = data
        return digest(data)

    def descriptor(self):
        return {"mediaType": self.media_type, "digest": digest(self.manifest), "size": len(self.manifest)}

    def write_layout(self, directory, *others):
        """An OCI layout with this image as the tag latest; `others`: further images, then latest is an index."""
        directory = Path(directory)
        blobs = directory / "blobs/sha256"
        blobs.mkdir(parents=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        for image in (self, *others):
            for data in (*image.blobs.values(), image.manifest):
                (blobs / digest(data)[7:]).write_bytes(data)
        entry = self.descriptor()
        if others:
            index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
                {**image.descriptor(), "platform": {"os": "linux", "architecture": image.configuration["architecture"]}}
                for image in (self, *others)]}).encode()
            (blobs / digest(index)[7:]).write_bytes(index)
            entry = {"mediaType": OCI_INDEX, "digest": digest(index), "size": len(index)}
        entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
        (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return f"oci:{directory}:latest"


def box_layer(extra=None):
    """A layer that runs: busybox as /bin/sh and a few names more."""
    entries = {"bin": None, "bin/busybox": busybox(), "tmp": None, "etc": None}
    for name in ("sh", "cat", "echo", "sleep", "true", "ls"):
        entries[f"bin/{name}"] = "-> busybox"
    return tar({**entries, **(extra or {})})
