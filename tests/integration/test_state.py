"""State that is not as it should be: newer, damaged, read-only, full, on the wrong file system; and odd names."""
import json
import os
import re
import socket
import struct
import subprocess
import threading

import pytest
from support import host
from support.waiting import wait_until

SLEEP = ["--", "sleep", "1000"]
HELLO, ERROR = 1, 2


def contents(directory):
    """Every file below a directory with what it holds; but not who used a lock last."""
    found = {}
    for place, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(place, name)
            found[path] = os.readlink(path) if os.path.islink(path) else name == "lock" or open(path, "rb").read()
    return found


def container_file(conductor, name, file):
    identity = next(c["id"] for c in conductor.json("ps", "-a") if c["name"] == name)
    return conductor.root / "containers/id" / identity / file


def sentence(message):
    """One line that begins with the program's name, and no more than a hint behind it."""
    lines = [line for line in message.splitlines() if not line.startswith("hint: ")]
    assert message.startswith("conductor: "), message
    assert len(lines) == 1, message
    return message


# ---- the format

@pytest.fixture
def format_file(box):
    """The file that says which format the state has; as it was again at the end."""
    file = box.root / "format"
    ours = file.read_text()
    yield file
    file.write_text(ours)


def test_newer_format_is_refused_and_nothing_is_changed(box, format_file):
    format_file.write_text("999\n")
    before = contents(box.root)
    for verb in (["ps"], ["run", box.image], ["build", "x", box.directory / "Busyboxfile"], ["rmcache"], ["stop", "web"]):
        done = box.run(*verb)
        assert done.returncode == (125 if verb[0] == "run" else 1)
        message = sentence(done.stderr)
        assert "format 999" in message and "hint: " in message
    assert contents(box.root) == before


@pytest.mark.parametrize("text", ["", "one\n", "-1\n", "0\n", "1 2\n", "\x1b[31m\n"], ids=ascii)
def test_format_that_is_no_number_is_named(box, format_file, text):
    format_file.write_text(text)
    message = sentence(box.fails("ps"))
    assert "/format" in message and "\x1b" not in message


def test_root_without_a_format_is_furnished_again(box, format_file):
    """A first command that was killed half-way left a directory without a format."""
    box.ok("create", box.image, "web")
    ours = format_file.read_text()
    format_file.unlink()
    assert box.state("web") == "created"
    assert format_file.read_text() == ours


def test_older_format_is_refused_with_the_way_out(box, format_file):
    format_file.write_text("1\n")
    message = sentence(box.fails("ps"))
    assert "format 1" in message and "--root DIR" in message


def test_damaged_identity_is_named(box):
    identity = (box.root / "id").read_text()
    (box.root / "id").write_text("short\n")
    assert "/id" in sentence(box.fails("ps"))
    (box.root / "id").write_text(identity)


def test_state_directory_of_somebody_else_is_refused(conductor):
    conductor.ok("ps")
    os.chmod(conductor.root, 0o777)
    assert "chmod" in sentence(conductor.fails("ps"))
    os.chmod(conductor.root, 0o700)


def test_runtime_directory_of_another_root_is_refused(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)
    done = box.run("--root", box.directory / "other", "ps")
    assert done.returncode == 1 and "belongs to another state directory" in sentence(done.stderr)
    assert box.state("web") == "running"


# ---- damaged objects

@pytest.mark.parametrize("file,damage", [("spec.json", "{"), ("spec.json", ""), ("spec.json", '{"id": 3}'),
                                         ("status.json", "not json"), ("status.json", "[]"),
                                         ("spec.json", "\x1b]0;evil\x07")], ids=ascii)
def test_damaged_container_is_named_and_hides_no_other(box, file, damage):
    box.ok("create", box.image, "good")
    box.ok("run", "--rm", box.image, "--", "true")
    box.run("run", box.image, "bad", "--", "true")
    path = container_file(box, "bad", file)
    whole = path.read_text()
    path.write_text(damage)
    done = box.run("ps", "-aq")
    assert done.stdout == "good\n" and done.returncode == 0
    assert str(path.parent) in done.stderr and "\x1b" not in done.stderr
    for verb in ("start", "inspect", "rm"):
        message = box.run(verb, "bad").stderr
        assert path.parent.name in message and file in message, message
    box.ok("rm", "good")
    path.write_text(whole)
    box.ok("rm", "bad")


DAMAGES = [("spec.json", "{"), ("spec.json", None), ("status.json", "not json"), ("status.json", "directory")]


@pytest.mark.parametrize("file,damage", DAMAGES, ids=ascii)
@pytest.mark.parametrize("how", ["run", "exited"])
def test_damaged_container_is_removed_by_force(box, how, file, damage):
    """With all that it has in the kernel; other verbs name the file and how to give the container up."""
    box.ok("create", box.image, "good")
    box.ok("run", "-d", box.image, "bad", *SLEEP)
    bad = next(c for c in box.json("ps") if c["name"] == "bad")
    if how == "exited":
        box.ok("stop", "--keep", "-t", "0", "bad")
    path = box.root / "containers/id" / bad["id"] / file
    path.unlink()
    if damage == "directory":
        path.mkdir()
    elif damage is not None:
        path.write_text(damage)
    for verb in ("start", "stop", "exec", "inspect", "wait", "rm"):
        message = box.run(verb, "bad").stderr
        assert f"cannot read '{path}'" in message and f"conductor rm -f id:{bad['id'][:12]}" in message, (verb, message)
    assert box.ok("ps", "-aq") == "good\n"
    box.ok("rm", "-f", "bad")
    assert "no container named 'bad'" in box.fails("rm", "-f", "bad")
    assert [line for line in box.leftovers() if bad["id"] in line] == []
    wait_until(lambda: not os.path.exists(f"/proc/{bad['pid']}"), 10, "its process is gone")
    assert os.listdir(box.run_directory / "ids") == []
    box.ok("create", box.image, "bad")


def test_damaged_container_is_removed_by_its_id(box):
    box.ok("create", box.image, "bad")
    path = container_file(box, "bad", "spec.json")
    path.write_text("")
    box.ok("rm", "-f", f"id:{path.parent.name[:8]}")
    assert os.listdir(box.root / "containers/id") == os.listdir(box.root / "containers/name") == []


def test_name_that_points_at_nothing_can_be_taken(box):
    (box.root / "containers/name/web").symlink_to("../id/" + "0" * 32)
    assert "no container named 'web'" in box.fails("rm", "web")
    box.ok("create", box.image, "web")
    assert box.state("web") == "created"


def test_leftover_of_a_killed_writer_is_no_name(box):
    before = box.ok("images", "-q"), box.ok("ps", "-aq")
    for directory, target in (("images/name", os.readlink(box.root / "images/name/box:latest")),
                              ("containers/name", "../id/" + "0" * 32)):
        leftover = box.root / directory / ".0123456789abcdef.tmp"
        leftover.symlink_to(target)
        os.utime(leftover, (0, 0), follow_symlinks=False)
    assert (box.ok("images", "-q"), box.ok("ps", "-aq")) == before
    box.ok("doctor", "--fix")
    assert not (box.root / "images/name/.0123456789abcdef.tmp").is_symlink()
    assert not (box.root / "containers/name/.0123456789abcdef.tmp").is_symlink()


def test_missing_layer_of_an_image_is_told_at_the_start(box):
    box.ok("create", box.image, "web", *SLEEP)
    (layer,) = (box.root / "layers").iterdir()
    layer.rename(box.directory / "layer")
    message = box.run("start", "web").stderr
    assert "damaged" in message and "hint: " in message
    (box.directory / "layer").rename(layer)
    box.ok("start", "web")


# ---- a place that cannot be written

def test_read_only_state_directory(box):
    """Nothing is changed, nothing is lost, and what only looks goes on as far as it can."""
    box.ok("create", box.image, "web", *SLEEP)
    before = contents(box.root)
    subprocess.run(["mount", "--bind", box.root, box.root], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", box.root], check=True)
    try:
        for verb, status in ((["run", box.image], 125), (["run", "-d", box.image, "x"], 125), (["create", box.image], 1),
                             (["build", "x", box.directory / "Busyboxfile"], 1), (["rm", "web"], 1), (["rmi", "x"], 1)):
            done = box.run(*verb)
            assert done.returncode == status, (verb, done.stderr)
            if verb[0] != "rmi":
                message = done.stderr if verb[0] == "build" else sentence(done.stderr)
                assert "Read-only file system" in message and "hint: " in message, message
        assert box.run("ps", "-aq").stdout == "web\n"
        assert [i["name"] for i in box.json("images")] == ["box:latest"]
    finally:
        subprocess.run(["umount", box.root], check=True)
    assert contents(box.root) == before
    box.ok("start", "web")


def test_read_only_place_for_a_new_state_directory(conductor):
    place = conductor.directory / "sealed"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", place], check=True)
    try:
        done = conductor.run("--root", place / "root", "ps")
        assert done.returncode == 1
        assert "Read-only" in sentence(done.stderr) and "--root DIR" in done.stderr
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture(params=["root", "all"])
def small(conductor, request):
    """A root on a file system of 16 MiB, alone or with the runtime directory, and an image; fill() takes the rest of it,
    free() gives it back."""
    place = conductor.root if request.param == "root" else conductor.directory / "small"
    place.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", place], check=True)
    if request.param == "all":
        conductor.root, conductor.run_directory = place / "root", place / "run"
    conductor.image = conductor.busybox_image()
    filler = place / "filler"

    def fill():
        with open(filler, "wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    conductor.fill, conductor.free = fill, filler.unlink
    yield conductor
    if filler.exists():
        filler.unlink()
    conductor.remove_containers()
    conductor.id()
    subprocess.run(["umount", "-l", place], check=True)


def test_full_state_directory(small):
    small.ok("create", small.image, "web", *SLEEP)
    file = small.directory / "Conductorfile"
    file.write_text(f"FROM {small.image}\nRUN echo much > /much\n")
    before = contents(small.root)
    small.fill()
    for verb, status in ((["run", small.image, "x"], 125), (["run", "-d", small.image, "x"], 125),
                         (["create", small.image, "x"], 1), (["build", "x", file], 1)):
        done = small.run(*verb)
        assert done.returncode == status, (verb, done.stderr)
        message = done.stderr
        assert message.startswith("conductor: ") or verb[0] == "build", message
        # What a build's own command could not write is that command's to say.
        assert "No space left" in message and ("hint: " in message or verb[0] == "build"), message
    small.free()
    assert contents(small.root) == before
    small.ok("start", "web")


def test_build_that_fills_the_disk_fails_and_leaves_nothing(small):
    file = small.directory / "Conductorfile"
    file.write_text(f"FROM {small.image}\nRUN dd if=/dev/zero of=/big bs=1M count=64\n")
    free = os.statvfs(small.root).f_bavail
    message = small.fails("build", "big", file)
    assert "No space left" in message and "Conductorfile" in message and ":2" in message
    assert os.statvfs(small.root).f_bavail >= free - 64
    assert [i["name"] for i in small.json("images")] == ["box:latest"]
    assert list((small.root / "tmp").iterdir()) == []


def test_container_ends_by_itself_on_a_full_disk(small):
    """Its end cannot be written down; it is told all the same, and written down when there is room."""
    small.ok("run", "-d", "-i", small.image, "web", "--", "sh", "-c", "read line; exit 3")
    small.fill()
    assert small.run("attach", "web", input="go\n").returncode == 3
    small.wait_for_state("web", "exited")
    assert small.json("ps", "-a")[0]["exit_code"] == 3
    assert small.run("wait", "web").returncode == 3
    small.free()
    assert (small.state("web"), small.json("ps", "-a")[0]["exit_code"]) == ("exited", 3)
    assert [e["outcome"] for e in small.json("events") if e["verb"] == "exit"] == ["exit 3"]
    small.ok("start", "web")


def test_container_that_fills_the_disk_can_be_stopped_and_removed(small):
    begin = "until [ -e /go ]; do sleep 0.01; done"  # no sooner than it is written down that it runs
    small.ok("run", "-d", small.image, "web", "--", "sh", "-c", begin + "; dd if=/dev/zero of=/big bs=1M; sleep 1000")
    small.ok("exec", "web", "--", "touch", "/go")
    wait_until(lambda: os.statvfs(small.root).f_bavail == 0, 20, "the disk is full")
    assert small.state("web") == "running"
    assert small.run("exec", "web", "--", "true").returncode == 0
    small.ok("stop", "-t", "0", "web")
    assert small.state("web") is None
    wait_until(lambda: not host.cgroups(small.id()), 5, "its groups are gone")
    assert os.statvfs(small.root).f_bavail > 0


def test_state_directory_that_an_overlay_refuses(conductor):
    """On an overlay itself: the sentence says so and how to cure it."""
    parts = [conductor.directory / name for name in ("lower", "upper", "work")]
    for part in parts:
        part.mkdir()
    conductor.root.mkdir(mode=0o700)
    lower, upper, work = parts
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}",
                    conductor.root], check=True)
    try:
        image = conductor.busybox_image()
        for userns in ("auto", "host"):
            message = sentence(conductor.fails("run", "--userns", userns, image, "--", "true", status=125))
            assert "lies on an overlay itself" in message and "hint: give a directory on ext4" in message
            assert str(conductor.root) in message
        assert conductor.json("ps", "-a") == []
        assert "overlay" in next(c for c in conductor.json("doctor") if c["check"] == "state")["found"]
    finally:
        conductor.id()
        subprocess.run(["umount", "-l", conductor.root], check=True)


# ---- a keeper of another version

def other_keeper(conductor, name, answer):
    """Somebody else listens where the keeper of a container did, and answers the first message so."""
    identity = next(c["id"] for c in conductor.json("ps") if c["name"] == name)
    path = conductor.run_directory / "c" / identity / "keeper.sock"
    path.rename(path.with_suffix(".real"))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()

    def serve():
        client, _ = listener.accept()
        client.recv(65536)
        if answer:
            client.send(answer)
        client.close()

    threading.Thread(target=serve, daemon=True).start()
    return path, listener


def head(kind, number, payload=b"", detail=0):
    return struct.pack("<BBHI", kind, detail, len(payload), number) + payload


@pytest.mark.parametrize("answer,words", [
    (head(HELLO, 0, detail=1), "speaks version 0"),
    (head(ERROR, 71, b"the other side speaks version 1 of the keeper's protocol, this one versions 7 to 9"), "versions 7 to 9"),
    (head(77, 1), "does not answer with a hello"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "ended the connection"),
    (b"", "ended the connection")], ids=["older", "newer that refuses", "unknown message", "noise", "silence"])
def test_keeper_that_speaks_otherwise_is_told(box, answer, words):
    box.ok("run", "-d", "-i", box.image, "web", *SLEEP)
    path, listener = other_keeper(box, "web", answer)
    message = sentence(box.fails("attach", "web", timeout=20))
    assert words in message, message
    listener.close()
    path.unlink()
    path.with_suffix(".real").rename(path)
    # What needs no talk with the keeper works whatever it speaks.
    assert box.run("exec", "web", "--", "true").returncode == 0
    box.ok("stop", "-t", "0", "web")


def test_newer_keeper_speaks_the_older_version(box):
    """A keeper whose newest version is 9 answers a hello with that, and both speak 1."""
    box.ok("run", "-d", "-i", box.image, "web", *SLEEP)
    path, listener = other_keeper(box, "web", head(HELLO, 9, detail=1))
    message = box.fails("attach", "web", timeout=20)
    assert "version" not in message  # the hello was fine; this one only never says more
    listener.close()
    path.unlink()
    path.with_suffix(".real").rename(path)


# ---- names

def test_longest_name_and_one_more(box):
    box.ok("create", box.image, "a" * 63)
    assert box.state("a" * 63) == "created"
    assert "63" in box.fails("create", box.image, "a" * 64, status=2)


@pytest.mark.parametrize("name", ["0", "a.b", "a_b", "a-b", "a..b", "a.tmp", "con", "id", "a--"])
def test_odd_names_that_are_allowed_work(box, name):
    box.ok("run", "-d", box.image, name, *SLEEP)
    assert box.run("exec", name, "--", "true").returncode == 0
    assert box.ok("ps", "-q") == name + "\n"
    box.ok("stop", "-t", "0", name)
    assert box.ok("ps", "-aq") == ""


def test_upper_case_is_refused_with_the_lower_form(box):
    assert "'web'" in box.fails("create", box.image, "WEB", status=2)


def test_id_must_be_long_enough_and_fit_one(box):
    box.ok("create", box.image, "web")
    identity = box.json("ps", "-a")[0]["id"]
    assert json.loads(box.ok("inspect", f"id:{identity[:8]}"))["name"] == "web"
    for text in ("id:", f"id:{identity[:7]}", "id:" + "g" * 8, f"id:{identity}0", "id:../../x", f"id:{identity[:8].upper()}Z"):
        assert re.match("conductor: .*id", box.fails("inspect", text, status=2)), text
    missing = "id:" + "0" * 32
    assert "no container with the id" in box.fails("inspect", missing)


def test_id_that_fits_two_is_refused(box):
    box.ok("create", box.image, "web")
    path = container_file(box, "web", "spec.json")
    twin = path.parent.name[:31] + ("0" if path.parent.name[31] != "0" else "1")
    copy = path.parent.parent / twin
    copy.mkdir()
    spec = json.loads(path.read_text())
    spec.update(id=twin, name="twin")
    (copy / "spec.json").write_text(json.dumps(spec))
    assert "more than one" in box.fails("inspect", f"id:{twin[:20]}")
    assert json.loads(box.ok("inspect", f"id:{twin}"))["name"] == "twin"
    box.ok("rm", f"id:{twin}")


def test_id_of_an_image(box):
    identity = box.json("images")[0]["id"]
    box.ok("create", f"id:{identity[:12]}", "web")
    assert box.json("ps", "-a")[0]["image"] == "box:latest"
    assert box.fails("create", "id:123", status=2)
