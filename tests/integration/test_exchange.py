"""Images to and from files: save, load, export, import, commit, tag, history, inspect, df, prune; skopeo and umoci as
independent readers and writers. A missing one fails loudly with CI=true (conftest.py)."""
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest
from support.gate import Gated
from support.waiting import wait_until

RECIPE = """FROM busybox
RUN echo one > /one && chmod 4755 /one && mkdir -p /d/e && echo x > /d/e/old && ln /one /hard && ln -s one /soft
RUN rm -rf /d/e && mkdir -m 1777 /d/e && echo y > /d/e/new && rm /bin/vi && chown 7:8 /one && chmod 4755 /one
ENV A="b c"
LABEL k=v
CMD ["cat", "/d/e/new"]
"""


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed: sudo ./bootstrap test installs it")


def tool(*words, cwd=None):
    done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def web(conductor):
    (conductor.directory / "R").write_text(RECIPE)
    conductor.ok("build", "web", conductor.directory / "R")
    return conductor


@pytest.fixture
def other(conductor):
    """A second root, as another host would be."""
    from support.program import Conductor
    second = Conductor()
    yield second
    second.close()


def image(conductor, name="web:latest"):
    return next(i for i in conductor.json("images") if i["name"] == name)


def packed(conductor, name="web"):
    return [[p["digest"] for p in layer["packed"]] for layer in conductor.json("inspect", name + ":latest")["layers"]]


def blob(layout, digest):
    return (layout / "blobs/sha256" / digest.split(":")[1]).read_bytes()


def manifest(layout):
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    return json.loads(blob(layout, entry["digest"]))


def facts(path):
    """name -> (type, mode, uid, gid, link, content) of a tar archive."""
    with tarfile.open(path) as archive:
        return {m.name.removeprefix("./"): (m.type, oct(m.mode), m.uid, m.gid, m.linkname,
                         archive.extractfile(m).read() if m.isreg() else None) for m in archive}


# ---- both ways, ours

@pytest.mark.parametrize("form", ["oci", "docker"])
def test_what_is_saved_loads_as_the_same_image(web, other, form):
    file = web.directory / "web.tar"
    assert web.ok("save", "web", "-o", file, "--format", form) == "web:latest\n"
    other.ok("load", file)
    assert image(other)["id"] == image(web)["id"]
    assert image(other)["layers"] == image(web)["layers"]
    assert other.ok("run", "--rm", "web") == "y\n"
    listing = "ls -ln /one /hard /soft /d/e /d /bin/vi 2>&1; true"
    assert (other.ok("run", "--rm", "web", "--", "sh", "-c", listing).split("total")[0] ==
            web.ok("run", "--rm", "web", "--", "sh", "-c", listing).split("total")[0])


def test_saving_again_gives_the_same_bytes(web, other):
    first, second = web.directory / "1.tar", web.directory / "2.tar"
    web.ok("save", "web", "-o", first)
    other.ok("load", first)
    other.ok("save", "web", "-o", second)
    assert first.read_bytes() == second.read_bytes()


def test_save_goes_to_stdout_and_load_takes_stdin(web, other):
    saved = subprocess.run(web.command("save", "web"), capture_output=True, timeout=60)
    assert saved.returncode == 0 and saved.stdout[257:262] == b"ustar"
    loaded = subprocess.run(other.command("load"), input=saved.stdout, capture_output=True, timeout=60)
    assert loaded.returncode == 0, loaded.stderr
    assert image(other)["id"] == image(web)["id"]


def test_save_refuses_a_terminal(web):
    screen = web.screen("save", "web")
    screen.wait_for_text("nothing for a terminal")


def test_several_images_share_their_layers_in_one_archive(web, other):
    (web.directory / "R2").write_text("FROM web\nENV B=1\n")
    web.ok("build", "more:2", web.directory / "R2")
    file = web.directory / "both.tar"
    web.ok("save", "web", "more:2", "-o", file)
    names = tarfile.open(file).getnames()
    assert len(names) == len(set(names))
    other.ok("load", file)
    assert {i["name"] for i in other.json("images")} == {"web:latest", "more:2"}


def test_a_failed_save_leaves_no_file(web):
    layer = image(web)["layers"][-1]
    (web.root / "layers" / layer / "diff/d/e/new").write_text("changed behind our back")
    file = web.directory / "web.tar"
    assert "is not what it was" in web.fails("save", "web", "-o", file)
    assert [p.name for p in web.directory.iterdir() if "web.tar" in p.name] == []


@pytest.mark.parametrize("verb", ["save", "export"])
def test_a_killed_writer_leaves_no_file(web, verb):
    file = web.directory / "web.tar"
    web.ok(verb, "web", "-o", file)  # packs the layers, which stay packed
    file.unlink()
    whole = Gated(web, verb, "web", "-o", file)
    assert whole.drive(lambda call: "go")[0] == 0
    (last,) = [at for at, call in enumerate(whole.calls) if call["name"] == "linkat" and str(file) in call["call"]]
    file.unlink()
    assert Gated(web, verb, "web", "-o", file).kill_before(last)
    assert [p.name for p in web.directory.iterdir() if "web.tar" in p.name] == []


@pytest.mark.parametrize("verb", ["save", "export"])
def test_a_complete_archive_replaces_an_old_one(web, verb):
    file = web.directory / "web.tar"
    file.write_text("old")
    web.ok(verb, "web", "-o", file)
    assert tarfile.is_tarfile(file) and file.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in web.directory.iterdir() if "web.tar" in p.name] == ["web.tar"]


def test_an_archive_is_written_where_files_need_a_name(web):
    file = web.directory / "web.tar"
    status, _, error = Gated(web, "save", "web", "-o", file).drive(
        lambda call: "skip" if "O_TMPFILE" in call["call"] else "go")
    assert status == 0, error
    assert tarfile.is_tarfile(file)
    assert [p.name for p in web.directory.iterdir() if "web.tar" in p.name] == ["web.tar"]


def test_a_packed_archive_is_loaded_too(web, other):
    file = web.directory / "web.tar"
    web.ok("save", "web", "-o", file)
    tool("gzip", "-1", file, cwd=web.directory)
    other.ok("load", web.directory / "web.tar.gz")
    assert image(other)["id"] == image(web)["id"]


# ---- skopeo and umoci

def test_skopeo_reads_what_we_save(web):
    need("skopeo")
    top = web.directory
    web.ok("save", "web", "-o", str(top / "layout") + "/")
    web.ok("save", "web", "-o", top / "oci.tar")
    web.ok("save", "web", "-o", top / "docker.tar", "--format", "docker")
    config = json.loads(tool("skopeo", "inspect", "--config", "oci:layout:latest", cwd=top))
    assert config["config"]["Cmd"] == ["cat", "/d/e/new"] and "A=b c" in config["config"]["Env"]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + layer for layer in image(web)["layers"]]
    tool("skopeo", "copy", "-q", "oci:layout:latest", "dir:a", cwd=top)
    tool("skopeo", "copy", "-q", "oci-archive:oci.tar", "dir:b", cwd=top)
    for source in ("docker-archive:docker.tar:web:latest", "docker-archive:oci.tar:web:latest"):
        inspected = json.loads(tool("skopeo", "inspect", "--config", source, cwd=top))
        assert inspected["rootfs"]["diff_ids"] == config["rootfs"]["diff_ids"]
    for entry in json.loads((top / "a/manifest.json").read_text())["layers"]:
        assert (top / "b" / entry["digest"].split(":")[1]).exists()


def test_digests_of_layers_survive_skopeo_load_save(web, other):
    need("skopeo")
    top = web.directory
    web.ok("save", "web", "-o", str(top / "layout") + "/")
    # Packed by skopeo anew, so that they are not what we would make ourselves.
    tool("skopeo", "copy", "-q", "--dest-compress-format", "zstd", "--dest-compress", "oci:layout:latest", "dir:z", cwd=top)
    tool("skopeo", "copy", "-q", "dir:z", "oci:foreign:x", cwd=top)
    foreign = manifest(top / "foreign")
    other.ok("load", top / "foreign", "--name", "web")
    assert other.ok("run", "--rm", "web") == "y\n"
    other.ok("save", "web", "-o", str(top / "again") + "/")
    again = manifest(top / "again")
    assert [l["digest"] for l in again["layers"]] == [l["digest"] for l in foreign["layers"]]
    assert again["config"]["digest"] == foreign["config"]["digest"]
    assert again["layers"][0]["mediaType"] == foreign["layers"][0]["mediaType"]


def test_a_docker_archive_of_skopeo_loads_with_its_names(web, other):
    need("skopeo")
    top = web.directory
    web.ok("save", "web", "-o", str(top / "layout") + "/")
    tool("skopeo", "copy", "-q", "oci:layout:latest", "docker-archive:d.tar:team/site:3", cwd=top)
    other.ok("load", top / "d.tar")
    assert image(other, "team/site:3")["id"] == image(web)["id"]


def test_saving_into_a_layout_keeps_its_other_images(web, other):
    """One that umoci has tagged, and those that were saved there before, under the same tag too."""
    need("umoci")
    need("skopeo")
    top = web.directory
    layout = top / "layout"
    web.ok("save", "web", "-o", f"{layout}/")
    tool("umoci", "tag", "--image", "layout:latest", "theirs", cwd=top)
    (top / "R2").write_text("FROM busybox\nENV A=1\n")
    for name in ("more:2", "second", "web"):
        web.ok("build", name, top / "R2")
        web.ok("save", name, "-o", f"{layout}/")
    assert sorted(tool("umoci", "list", "--layout", "layout", cwd=top).split()) == [
        "2", "latest", "second:latest", "theirs"]
    assert json.loads(tool("skopeo", "inspect", "--config", f"oci:{layout}:latest", cwd=top))["config"]["Env"][-1] == "A=1"
    names = {line.split()[0] for line in other.ok("load", layout).splitlines()}
    assert names == {"more:2", "second:latest", "web:latest", "layout:theirs"}
    assert image(other, "layout:theirs")["id"] != image(other)["id"] == image(other, "more:2")["id"]
    (layout / "index.json").write_text("[]")
    assert "none of an OCI layout" in web.fails("save", "web", "-o", f"{layout}/")
    assert (layout / "index.json").read_text() == "[]"


def test_an_image_that_is_named_twice_is_saved_once(web):
    web.ok("save", "web", "web:latest", "-o", f"{web.directory}/layout/")
    assert len(json.loads((web.directory / "layout/index.json").read_text())["manifests"]) == 1


@pytest.mark.xfail(not shutil.which("podman"), run=False, reason="podman is not installed")
def test_podman_reads_what_we_save_and_we_what_it_saves(web, other):
    top = web.directory
    podman = ["podman", "--root", top / "pod/root", "--runroot", top / "pod/run", "--tmpdir", top / "pod/tmp", "--storage-driver", "vfs"]
    for form in ("oci", "docker"):
        web.ok("save", "web", "-o", top / "ours.tar", "--format", form)
        tool(*podman, "load", "-i", top / "ours.tar")
        assert image(web)["id"] == tool(*podman, "image", "inspect", "web", "--format", "{{.Id}}").strip()
    for form in ("oci-archive", "docker-archive"):
        tool(*podman, "save", "--format", form, "-o", top / f"{form}.tar", "web:latest")
        other.ok("load", top / f"{form}.tar")
        assert other.ok("run", "--rm", "localhost/web") == web.ok("run", "--rm", "web") == "y\n"
        other.ok("rmi", "localhost/web")


def test_umoci_unpacks_what_we_save(web):
    need("umoci")
    top = web.directory
    web.ok("save", "web", "-o", str(top / "layout") + "/")
    tool("umoci", "unpack", "--image", "layout:latest", "bundle", cwd=top)
    rootfs = top / "bundle/rootfs"
    assert sorted(p.name for p in (rootfs / "d/e").iterdir()) == ["new"]
    assert not (rootfs / "bin/vi").exists()
    status = (rootfs / "one").stat()
    assert (status.st_uid, status.st_gid) == (7, 8)
    assert os.readlink(rootfs / "soft") == "one"
    assert (rootfs / "one").stat().st_ino != 0
    web.ok("export", "web", "-o", top / "x.tar")
    ours = {n: f for n, f in facts(top / "x.tar").items() if n not in ("", ".")}
    names = {str(p.relative_to(rootfs)) for p in rootfs.rglob("*")}
    assert set(ours) == names


def test_an_image_that_umoci_made_runs(conductor):
    need("umoci")
    top = conductor.directory
    tool("umoci", "init", "--layout", "lay", cwd=top)
    tool("umoci", "new", "--image", "lay:one", cwd=top)
    tool("umoci", "unpack", "--image", "lay:one", "b1", cwd=top)
    rootfs = top / "b1/rootfs"
    (rootfs / "bin").mkdir()
    (rootfs / "tmp").mkdir()
    (rootfs / "tmp").chmod(0o1777)
    busybox = conductor.program.parent / "share/busybox"
    shutil.copy(busybox, rootfs / "bin/sh")
    (rootfs / "bin/sh").chmod(0o755)
    (rootfs / "keep").mkdir(mode=0o700)
    (rootfs / "keep/f").write_text("first")
    tool("umoci", "repack", "--image", "lay:one", "b1", cwd=top)
    tool("umoci", "unpack", "--image", "lay:one", "b2", cwd=top)
    (top / "b2/rootfs/keep/f").write_text("second")
    (top / "b2/rootfs/tmp/x").write_text("x")
    shutil.rmtree(top / "b2/rootfs/bin/none", ignore_errors=True)
    tool("umoci", "repack", "--image", "lay:one", "b2", cwd=top)
    tool("umoci", "config", "--image", "lay:one", "--config.cmd", "/bin/sh", "--config.cmd", "-c", "--config.cmd",
         "read a < /keep/f; echo $a", cwd=top)
    conductor.ok("load", top / "lay", "--name", "u")
    assert conductor.ok("run", "--rm", "u", "--", "/bin/sh", "-c", "read a < /keep/f; echo $a") in ("second\n", "\n")
    conductor.ok("export", "u", "-o", top / "u.tar")
    seen = facts(top / "u.tar")
    assert seen["keep/f"][5] == b"second"
    assert seen["keep"][1] == "0o700" and seen["tmp"][1] == "0o1777"


def test_directories_that_a_layer_leaves_out_keep_their_looks(conductor):
    """What bazel and jib write: only the files, and their directories are those of the layers below."""
    top = conductor.directory
    base = io.BytesIO()
    with tarfile.open(fileobj=base, mode="w") as archive:
        for name, mode, uid in (("tmp", 0o1777, 0), ("srv", 0o750, 5)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid = tarfile.DIRTYPE, mode, uid
            archive.addfile(entry)
    upper = io.BytesIO()
    with tarfile.open(fileobj=upper, mode="w") as archive:
        for name in ("tmp/x", "srv/y", "new/z"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    write_docker_archive(top / "i.tar", "i", [base.getvalue(), upper.getvalue()])
    conductor.ok("load", top / "i.tar")
    # The same upper layer on nothing is another directory.
    write_docker_archive(top / "j.tar", "j", [upper.getvalue()])
    conductor.ok("load", top / "j.tar")
    for name, looks in (("i", {"tmp": ("0o1777", 0), "srv": ("0o750", 5), "new": ("0o755", 0)}),
                        ("j", {"tmp": ("0o755", 0), "srv": ("0o755", 0), "new": ("0o755", 0)})):
        conductor.ok("export", name, "-o", top / "x.tar")
        seen = facts(top / "x.tar")
        for directory, (mode, uid) in looks.items():
            assert seen[directory][1:3] == (mode, uid), (name, directory)
    # And it leaves as it came.
    conductor.ok("save", "i", "-o", top / "again.tar", "--format", "docker")
    with tarfile.open(top / "again.tar") as archive:
        digests = {hashlib.sha256(archive.extractfile(m).read()).hexdigest() for m in archive if m.name.endswith(".tar")}
    assert digests == {hashlib.sha256(l).hexdigest() for l in (base.getvalue(), upper.getvalue())}


def write_docker_archive(path, name, layers, config=None):
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": config or {},
                         "rootfs": {"type": "layers",
                                    "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}}).encode()
    with tarfile.open(path, "w") as archive:
        def add(member, content):
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for number, layer in enumerate(layers):
            add(f"{number}/layer.tar", layer)
        add("c.json", config)
        add("manifest.json", json.dumps([{"Config": "c.json", "RepoTags": [f"{name}:latest"],
                                          "Layers": [f"{n}/layer.tar" for n in range(len(layers))]}]).encode())


# ---- trees

def test_export_and_import_are_inverses(web):
    top = web.directory
    web.ok("export", "web", "-o", top / "a.tar")
    web.ok("import", top / "a.tar", "again")
    web.ok("export", "again", "-o", top / "b.tar")
    assert (top / "a.tar").read_bytes() == (top / "b.tar").read_bytes()
    seen = facts(top / "a.tar")
    assert seen["one"][:4] == (tarfile.REGTYPE, "0o4755", 7, 8)
    assert web.ok("run", "--rm", "again", "--", "cat", "/d/e/new") == "y\n"


def test_export_of_a_container_has_what_it_wrote(web):
    top = web.directory
    web.ok("run", "-d", "web", "one", "--", "sleep", "1000")
    web.ok("exec", "one", "--", "sh", "-c", "echo new > /n; rm /hard")
    done = subprocess.run(web.command("export", "one"), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (top / "c.tar").write_bytes(done.stdout)
    seen = facts(top / "c.tar")
    assert seen["n"][5] == b"new\n" and "hard" not in seen and "bin/sh" in seen
    assert web.ok("exec", "one", "--", "echo", "goes on") == "goes on\n"


def test_import_from_stdin(conductor):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        entry = tarfile.TarInfo("hello")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"hi"))
    done = subprocess.run(conductor.command("import", "-", "small"), input=data.getvalue(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert image(conductor, "small:latest")["size_bytes"] == 2


def test_commit_keeps_what_a_container_wrote_and_how_it_was_started(web):
    web.ok("run", "-d", "web", "one", "--env", "C=1", "--", "sleep", "1000")
    web.ok("exec", "one", "--", "sh", "-c", "echo new > /n; rm /hard; rm -rf /d/e; mkdir /d/e")
    web.ok("commit", "one", "kept", "-m", "tuned", "-a", "me")
    assert web.ok("exec", "one", "--", "cat", "/n") == "new\n"
    assert web.ok("run", "--rm", "kept", "--", "sh", "-c", "cat /n; ls /d/e /hard 2>&1; echo $C") == \
        "new\nls: /hard: No such file or directory\n/d/e:\n1\n"
    config = web.json("inspect", "kept:latest")["configuration"]
    assert config["config"]["Cmd"] == ["sleep", "1000"] and "C=1" in config["config"]["Env"]
    assert config["history"][-1]["comment"] == "tuned" and config["author"] == "me"
    assert len(config["history"]) == len(web.json("history", "web")) + 1
    web.ok("save", "kept", "-o", web.directory / "kept.tar")
    web.ok("stop", "one")


def test_commit_of_a_moving_container_names_the_cure(web):
    web.ok("run", "-d", "web", "one", "--", "sh", "-c",
           "while :; do truncate -s 64M /f; usleep 30000; truncate -s 0 /f; done")
    said = []

    def fails():
        done = web.run("commit", "--no-pause", "one", "kept")
        said.append(done.stderr)
        return done.returncode == 1

    wait_until(fails, 30)
    assert "became shorter while it was read" in said[-1]
    assert "hint: without --no-pause the container stands still while it is read" in said[-1]
    web.ok("commit", "one", "kept")
    web.ok("stop", "-t", "0", "one")


def test_commit_of_an_unknown_container_leaves_nothing(web):
    assert "no container named 'none'" in web.fails("commit", "none", "kept")
    assert [i["name"] for i in web.json("images")] == ["web:latest"]


# ---- names, history, inspect

def test_tag_gives_another_name(web):
    web.ok("tag", "web", "team/web:2")
    assert image(web, "team/web:2")["id"] == image(web)["id"]
    assert "there is no image" in web.fails("tag", "nosuch", "x")


def test_history_has_a_row_for_each_step(web):
    rows = web.json("history", "web")
    assert [r["created_by"].split()[0] for r in rows] == ["CMD", "LABEL", "ENV", "RUN", "RUN", "make"]
    assert [r["layer"] for r in rows if r["layer"]] == image(web)["layers"][::-1]
    assert rows[-1]["size_bytes"] > 1_000_000
    assert "RUN rm -rf /d/e" in web.ok("history", "web")


def test_inspect_tells_of_images_and_of_containers(web):
    web.ok("run", "-d", "web", "web", "--", "sleep", "1000")
    assert web.json("inspect", "web")["pid"] > 0  # a container of that name comes first
    document = web.json("inspect", "web:latest")
    assert document["used_by"] == ["web"]
    assert document["configuration"]["rootfs"]["diff_ids"] == [l["diff_id"] for l in document["layers"]]
    assert web.json("inspect", f"id:{document['id'][:12]}")["names"] == ["web:latest"]
    web.ok("stop", "web")
    assert web.json("inspect", "web")["id"] == document["id"]


def test_inspect_of_nothing_speaks_of_both(conductor):
    said = conductor.fails("inspect", "nosuch")
    assert "no container and no image 'nosuch'" in said and "conductor images" in said


def test_a_rebuild_from_the_cache_is_the_same_image(web):
    before = image(web)["id"]
    web.ok("build", "web", web.directory / "R")
    assert image(web)["id"] == before


# ---- room

def test_df_names_who_needs_each_byte(web, other):
    file = web.directory / "web.tar"
    web.ok("save", "web", "-o", file)
    other.ok("load", file)
    objects = other.json("df")["objects"]
    layers = [o for o in objects if o["kind"] == "layer"]
    assert {o["id"] for o in layers} == set(image(other)["layers"])
    assert all(o["owners"] == ["image web:latest"] for o in layers)
    blobs = [o for o in objects if o["kind"] == "blob"]
    assert len(blobs) == 3 and all(o["owners"][0].startswith("layer ") for o in blobs)
    assert sum(o["size_bytes"] for o in layers) == image(other)["size_bytes"]


def test_df_looks_at_the_files_of_containers_only_when_asked(web):
    web.ok("run", "--rm", "-d", "web", "one", "--", "sh", "-c", "head -c 100000 /dev/zero > /a && ln /a /b; sleep 1000")
    written = web.root / "containers"
    wait_until(lambda: any(p.stat().st_nlink == 2 for p in written.glob("*/*/rw/upper/b")))
    [row] = [line for line in web.ok("df").splitlines() if line.startswith("written by containers")]
    assert row.split()[-3:] == ["1", "-", "-"]
    assert [o for o in web.json("df")["objects"] if o["kind"] == "container"] == []
    [container] = [o for o in web.json("df", "-v")["objects"] if o["kind"] == "container"]
    assert (container["id"], container["size_bytes"]) == ("one", 100000)
    web.ok("stop", "-t", "0", "one")


def test_prune_asks(web):
    assert "--force" in web.fails("prune", status=2)


def test_prune_takes_what_nobody_needs_and_nothing_else(web, other):
    file = web.directory / "web.tar"
    web.ok("save", "web", "-o", file)
    other.ok("load", file)
    other.ok("run", "-d", "web", "one", "--", "sleep", "1000")
    blobs = other.root / "blobs/sha256"
    before = sorted(p.name for p in blobs.iterdir())
    assert other.json("prune", "--force")["bytes"] == 0
    assert sorted(p.name for p in blobs.iterdir()) == before
    assert other.ok("exec", "one", "--", "cat", "/d/e/new") == "y\n"
    other.ok("stop", "one")
    other.ok("rmi", "web")
    pruned = other.json("prune", "--force")
    assert pruned["layers"] == 3 and pruned["blobs"] == 3 and pruned["bytes"] > 3_000_000
    assert list(blobs.iterdir()) == [] and list((other.root / "layers").iterdir()) == []


def test_prune_asks_on_a_terminal_and_does_as_told(web):
    web.ok("rmi", "web")
    screen = web.screen("prune")
    screen.wait_for_text("[y/N]")
    screen.send("n\n")
    screen.wait_for_text("nothing was deleted")
    screen = web.screen("prune")
    screen.wait_for_text("[y/N]")
    screen.send("y\n")
    screen.wait_for_text("deleted,")
    assert list((web.root / "layers").iterdir()) == []
