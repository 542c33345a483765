"""Layers that mean harm (SECURITY.md): none writes outside, each is refused in a clear sentence or does nothing, and
nothing of a refused image is left."""
import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from support import hostile
from test_exchange import write_docker_archive

NAMES = sorted(hostile.corpus(b"x"))


@pytest.fixture
def canary(conductor):
    place = conductor.directory / "canary"
    place.mkdir()
    (place / "file").write_text("alive")
    before = snapshot(place)
    yield place
    assert snapshot(place) == before, "the canary was touched"


def snapshot(place):
    found = {}
    for path in [place, *sorted(place.rglob("*"))]:
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_uid, status.st_mtime_ns, status.st_nlink,
                            path.read_bytes() if path.is_file() else None, sorted(os.listxattr(path)))
    return found


def leftovers(conductor):
    """What of images is in the store: directories of layers, blobs, images, work in progress."""
    return [str(p.relative_to(conductor.root)) for d in ("layers", "blobs/sha256", "images/id", "images/name", "tmp")
            for p in (conductor.root / d).glob("*")]


def test_the_corpus_is_large():
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_layer(conductor, canary, name):
    layer, refused = hostile.corpus(str(canary).lstrip("/").encode())[name]
    archive = conductor.directory / "evil.tar"
    write_docker_archive(archive, "evil", [layer])
    (conductor.directory / "layer.tar").write_bytes(layer)
    for words in (("load", archive), ("import", conductor.directory / "layer.tar", "evil")):
        done = conductor.run(*words)
        assert "\x1b" not in done.stdout + done.stderr
        if refused is None:
            assert done.returncode == 0, done.stderr
            check_harmless(conductor)
            conductor.ok("rmi", "evil")
            conductor.ok("prune", "--force")
        else:
            assert done.returncode == 1, done.stdout + done.stderr
            assert refused in done.stderr and "should not have happened" not in done.stderr
        assert leftovers(conductor) == []


def check_harmless(conductor):
    """Nothing on the host's disk is a device but whiteouts, and packing it again gives no error."""
    for path in (conductor.root / "layers").rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            assert path.lstat().st_rdev == 0
    conductor.ok("save", "evil", "-o", conductor.directory / "again.tar")
    conductor.ok("export", "evil", "-o", conductor.directory / "tree.tar")


def test_links_are_replaced_and_never_written_through(conductor, canary):
    corpus = hostile.corpus(str(canary).lstrip("/").encode())
    for name in ("file written over a symlink", "hard link to a symlink, then written"):
        (conductor.directory / "layer.tar").write_bytes(corpus[name][0])
        conductor.ok("import", conductor.directory / "layer.tar", "evil")
        conductor.ok("export", "evil", "-o", conductor.directory / "tree.tar")
        with tarfile.open(conductor.directory / "tree.tar") as tree:
            assert [m.name for m in tree if m.isreg()] == (["l"] if "over" in name else ["h"])


def test_device_nodes_are_left_out_and_said(conductor, canary):
    (conductor.directory / "layer.tar").write_bytes(hostile.corpus(b"x")["block device"][0])
    done = conductor.run("import", conductor.directory / "layer.tar", "evil")
    assert "1 device node left out ('disk')" in done.stderr


def test_opaque_counts_wherever_it_stands(conductor):
    lower = hostile.directory(b"d") + hostile.file(b"d/old") + hostile.END
    upper, _ = hostile.corpus(b"x")["opaque after content"]
    write_docker_archive(conductor.directory / "i.tar", "i", [lower, upper])
    conductor.ok("load", conductor.directory / "i.tar")
    conductor.ok("export", "i", "-o", conductor.directory / "tree.tar")
    with tarfile.open(conductor.directory / "tree.tar") as tree:
        assert [m.name for m in tree if m.isreg()] == ["d/f"]


# ---- the archive around the layers

def outer(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


def config(*layers):
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}}).encode()


LAYER = hostile.file(b"a") + hostile.END


def docker(config_name="c.json", layer="l.tar", tags=("evil:latest",), **more):
    members = {"c.json": config(LAYER), "l.tar": LAYER,
               "manifest.json": json.dumps([{"Config": config_name, "RepoTags": list(tags), "Layers": [layer]}]).encode()}
    return {**members, **more}


def oci(**changes):
    blobs = {}

    def add(content):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": {**add(config(LAYER)), "mediaType": "application/vnd.oci.image.config.v1+json"},
                           "layers": [{**add(LAYER), "mediaType": "application/vnd.oci.image.layer.v1.tar",
                                       **changes.get("layer", {})}]}).encode()
    entry = {**add(manifest), "mediaType": "application/vnd.oci.image.manifest.v1+json",
             "annotations": {"org.opencontainers.image.ref.name": "evil:latest"}, **changes.get("entry", {})}
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', **blobs,
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()}


def with_wrong_blob():
    members = oci()
    name = next(n for n, c in members.items() if c == LAYER)
    members[name] = hostile.file(b"b") + hostile.END
    return members


OUTER = {
    "neither kind": {"a": b"b"},
    "config that climbs": docker(config_name="../../../../etc/passwd"),
    "config that is absolute": docker(config_name="/etc/passwd"),
    "layer that is absolute": docker(layer="/etc/passwd"),
    "layer that is a link out": docker(layer="x", x="../../../../../../etc/passwd"),
    "layer that is an absolute link": docker(layer="x", x="/etc/passwd"),
    "links in a circle": docker(layer="x", x="y", y="x"),
    "a layer of another digest": {**docker(), "l.tar": hostile.file(b"b") + hostile.END},
    "a name that is an option": docker(tags=["--force:latest"]),
    "a name that climbs": docker(tags=["../../x:latest"]),
    "a name with escape codes": docker(tags=["\x1b[2J:latest"]),
    "manifest.json that is no list": {**docker(), "manifest.json": b"{}"},
    "manifest.json that is deep": {**docker(), "manifest.json": b"[" * 200_000},
    "OCI: a blob that is not its digest": with_wrong_blob(),
    "OCI: a digest that climbs": oci(layer={"digest": "sha256:../../../../etc/passwd"}),
    "OCI: another algorithm": oci(entry={"digest": "md5:0123"}),
    "OCI: a wrong size": oci(entry={"size": 5}),
    "OCI: for another machine": oci(entry={"platform": {"architecture": "sparc", "os": "linux"}}),
    "OCI: no name": oci(entry={"annotations": {"org.opencontainers.image.ref.name": "a b"}}),
}


@pytest.mark.parametrize("name", OUTER)
def test_a_hostile_archive_of_an_image(conductor, name):
    path = conductor.directory / "evil.tar"
    outer(path, OUTER[name])
    done = conductor.run("load", path)
    assert done.returncode in (1, 2), done.stdout + done.stderr
    assert "conductor: " in done.stderr and "should not have happened" not in done.stderr and "\x1b" not in done.stderr
    assert leftovers(conductor) == []


def test_the_honest_ones_of_these_load(conductor):
    for members in (docker(), oci()):
        outer(conductor.directory / "good.tar", members)
        conductor.ok("load", conductor.directory / "good.tar")
    conductor.ok("export", "evil", "-o", conductor.directory / "tree.tar")


def test_a_layout_directory_with_links_out_is_not_followed(conductor):
    layout = conductor.directory / "layout"
    for name, content in oci().items():
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).write_bytes(content)
    (layout / "index.json").unlink()
    (layout / "index.json").symlink_to("/etc/passwd")
    assert "conductor: " in conductor.fails("load", layout)
    (layout / "index.json").unlink()
    os.mkfifo(layout / "index.json")
    assert "no regular file" in conductor.fails("load", layout)
    assert leftovers(conductor) == []


def config_of(layers):
    return json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [
        "sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]}}).encode()


def test_of_an_archive_whose_last_layer_is_wrong_nothing_is_kept(conductor):
    """Neither its first image nor its first layers."""
    one, two, three = (hostile.file(b"f", b"%d" % n) + hostile.END for n in range(3))
    members = {"a.json": config_of([one]), "b.json": config_of([one, two, three]), "1": one, "2": two, "3": b"x" + three,
               "manifest.json": json.dumps([{"Config": "a.json", "RepoTags": ["a:1"], "Layers": ["1"]},
                                            {"Config": "b.json", "RepoTags": ["b:1"], "Layers": ["1", "2", "3"]}]).encode()}
    outer(conductor.directory / "i.tar", members)
    conductor.fails("load", conductor.directory / "i.tar")
    assert leftovers(conductor) == []
    outer(conductor.directory / "i.tar", {**members, "3": three})
    assert conductor.ok("load", conductor.directory / "i.tar").count("\n") == 2
    assert len(list((conductor.root / "layers").iterdir())) == 3


@pytest.mark.parametrize("name", ["UPPER:1", "a\x1b[31mb:1", "../x:1", "id:12345678"])
def test_a_name_that_is_none_is_the_archives_fault(conductor, name):
    layer = hostile.file(b"f") + hostile.END
    outer(conductor.directory / "i.tar", {
        "c.json": config_of([layer]), "l": layer,
        "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": [name], "Layers": ["l"]}]).encode()})
    said = conductor.fails("load", conductor.directory / "i.tar")
    assert "the archive" in said and "--name NAME" in said and "usage:" not in said and "\x1b" not in said
    assert leftovers(conductor) == []
    assert conductor.ok("load", conductor.directory / "i.tar", "--name", "good").startswith("good:latest")


def test_a_file_whose_name_is_no_image_name(conductor):
    layer = hostile.file(b"f") + hostile.END
    path = conductor.directory / "My Image.tar"
    outer(path, {"c.json": config_of([layer]), "l": layer,
                 "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": ["l"]}]).encode()})
    assert "does not say what its image is called" in conductor.fails("load", path)


def test_no_document_steers_the_terminal(conductor):
    """JSON lets DEL, the C1 controls and the marks of direction pass; a terminal obeys them."""
    text = "\x1b[31m\x9b31m\u202e\x7f"
    layer = hostile.file(b"f") + hostile.END
    config = {**json.loads(config_of([layer])), "author": text, "history": [{"created": text, "created_by": text}],
              "config": {"Labels": {text: text}, "Env": ["A=" + text], "Cmd": [text], "User": text}}
    outer(conductor.directory / "i.tar", {
        "c.json": json.dumps(config).encode(), "l": layer,
        "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["i:1"], "Layers": ["l"]}]).encode()})
    conductor.ok("load", conductor.directory / "i.tar")
    conductor.run("create", "i:1", "web")
    for words in (("inspect", "i:1"), ("inspect", "i:1", "--json"), ("history", "i:1"), ("history", "i:1", "--json"),
                  ("images", "--json"), ("inspect", "web"), ("ps", "-a", "--json"), ("--events", "1", "history", "i:1"),
                  ("run", "--rm", "i:1"), ("--json", "run", "--rm", "i:1"), ("--explain", "run", "--rm", "i:1"),
                  ("--explain=json", "run", "--rm", "i:1")):
        done = conductor.run(*words)
        said = done.stdout + done.stderr
        assert not [c for c in said if c in "\x1b\x9b\u202e\x7f\r"], (words, said)
    assert conductor.json("inspect", "i:1")["configuration"]["author"] == text


def test_a_configuration_of_many_levels(conductor):
    """Whoever copies or writes such a document needs a stack for it."""
    layer = hostile.file(b"f") + hostile.END
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers",
                         "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}})
    for levels, refused in ((50, False), (1_000_000, True)):
        members = {"c.json": (config[:-1] + ', "x": ["\\"[", ' + "[" * levels + "]" * levels + "]}").encode(), "l": layer,
                   "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["deep:1"], "Layers": ["l"]}]).encode()}
        outer(conductor.directory / "i.tar", members)
        if refused:
            assert "nested too deeply" in conductor.fails("load", conductor.directory / "i.tar")
            assert leftovers(conductor) == []
        else:
            conductor.ok("load", conductor.directory / "i.tar")
            assert conductor.json("inspect", "deep:1")["configuration"]["x"][0] == '"['
            conductor.ok("rmi", "deep:1")
            conductor.ok("prune", "--force")


# ---- bombs

def test_a_bomb_stops_early(conductor):
    """8 MiB of gzip that are 8 GiB of zeros: stopped long before the disk is full, and rolled back."""
    size = 8 << 30
    head = hostile.header(b"zeros", size_field=hostile.base256(size))
    path = conductor.directory / "bomb.tar"
    piece = gzip.compress(b"\0" * (64 << 20), 9)
    layer = gzip.compress(head) + piece * (size // (64 << 20)) + gzip.compress(hostile.END)
    plain = hashlib.sha256(head).hexdigest()
    members = {"c.json": json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + plain]}}).encode(),
               "l": layer, "manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["bomb:1"], "Layers": ["l"]}]).encode()}
    outer(path, members)
    assert len(layer) < 16 << 20
    said = conductor.fails("load", path, timeout=120)
    assert "unpack" in said or "more than" in said
    assert leftovers(conductor) == []


def test_a_full_disk_is_not_filled_to_the_end(conductor):
    """The guard leaves a twentieth of the disk free."""
    conductor.root.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "none", conductor.root], check=True)
    try:
        content = os.urandom(1 << 20)
        layer = b"".join(hostile.file(b"f%d" % n, content) for n in range(80)) + hostile.END
        (conductor.directory / "big.tar").write_bytes(layer)
        said = conductor.fails("import", conductor.directory / "big.tar", "big")
        assert "does not fit" in said and "hint: free some space" in said
        assert leftovers(conductor) == []
        status = os.statvfs(conductor.root)
        assert status.f_bavail > status.f_blocks * 0.9
    finally:
        subprocess.run(["umount", "-l", str(conductor.root)], check=True)


def test_files_without_end_stop_at_the_inodes_of_the_disk(conductor):
    conductor.root.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,nr_inodes=6000,mode=700", "none", conductor.root], check=True)
    try:
        layer = b"".join(hostile.file(b"f%d" % n, b"") for n in range(8000)) + hostile.END
        (conductor.directory / "many.tar").write_bytes(layer)
        assert "does not fit" in conductor.fails("import", conductor.directory / "many.tar", "many")
        assert leftovers(conductor) == []
    finally:
        subprocess.run(["umount", "-l", str(conductor.root)], check=True)


def test_a_killed_load_leaves_nothing_behind_the_next_command(conductor):
    content = os.urandom(4 << 20)
    layer = b"".join(hostile.file(b"f%d" % n, content) for n in range(40)) + hostile.END
    write_docker_archive(conductor.directory / "i.tar", "i", [layer])
    process = conductor.start("load", conductor.directory / "i.tar")
    from support.waiting import wait_until
    wait_until(lambda: any((conductor.root / "tmp").glob("*/layer-1/diff/f5")), 30, "the layer is being unpacked")
    process.kill()
    process.communicate()
    assert not list((conductor.root / "layers").glob("*"))
    conductor.ok("prune", "--force")
    assert leftovers(conductor) == []


@pytest.mark.parametrize("config, said, way_out", [
    ({"StopSignal": "garbage"}, "stop signal 'garbage' is no signal", ("--stop-signal", "TERM")),
    ({"WorkingDir": "../../x"}, "working directory '../../x' is not absolute", ("--workdir", "/"))])
def test_what_an_image_says_wrongly_is_no_wrong_usage(conductor, config, said, way_out):
    write_docker_archive(conductor.directory / "i.tar", "i", [hostile.file(b"f") + hostile.END], config)
    conductor.ok("load", conductor.directory / "i.tar")
    error = conductor.fails("create", "i", "web")
    assert said in error and f"hint: name another: {way_out[0]}" in error and "usage:" not in error
    conductor.ok("create", *way_out, "i", "web")
    conductor.ok("rm", "web")
