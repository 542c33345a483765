"""cp: docker's rules for names, owners, what is copied of a file, and that a copy which fails leaves nothing. What a
hostile container can do about it is in test_cp_attacks.py."""
import contextlib
import io
import os
import signal
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from support import host
from support.gate import Gated
from support.program import Conductor
from support.waiting import wait_until


@pytest.fixture
def box(conductor):
    conductor.busybox_image("box")
    return conductor


def start_web(box):
    box.ok("run", "-d", "box", "web", "--", "sleep", "1000")
    box.ok("exec", "web", "--", "sh", "-c", "mkdir -p /d/sub && echo one > /d/a && echo two > /d/sub/b && ln -s /d /link")
    return box


@pytest.fixture
def web(box):
    """A running container with a small tree."""
    return start_web(box)


@pytest.fixture(scope="module")
def shared():
    """The same for tests that only add to it, each in a place of its own."""
    program = Conductor()
    program.busybox_image("box")
    yield start_web(program)
    program.close()


@pytest.fixture
def place(shared):
    """A directory of this test's own, and of the same path in the container."""
    path = Path(tempfile.mkdtemp(dir=shared.directory))
    shared.ok("exec", "web", "--", "mkdir", "-p", path)
    return path


@pytest.fixture
def here(conductor):
    place = conductor.directory / "here"
    place.mkdir()
    (place / "file").write_text("new\n")
    (place / "dir/deep").mkdir(parents=True)
    (place / "dir/deep/x").write_text("x\n")
    return place


def tree(path):
    """Names below a directory with the content of files."""
    return {str(p.relative_to(path)): p.read_text() if p.is_file() and not p.is_symlink() else None
            for p in sorted(Path(path).rglob("*"))}


def inside(conductor, *command, name="web"):
    return conductor.ok("exec", name, "--", *command)


def leftovers(*places):
    return [p for place in places for p in Path(place).rglob(".conductor-cp-*")]


# ---- docker's rules (docker container cp, "Description")

@pytest.mark.parametrize("source, target, result", [
    ("/d/a", "new", {"new": "one\n"}),
    ("/d/a", "old", {"old": "one\n"}),
    ("/d/a", "into", {"into/a": "one\n", "into/kept": "kept\n"}),
    ("/d/a", "into/", {"into/a": "one\n", "into/kept": "kept\n"}),
    ("/d", "new", {"new/a": "one\n", "new/sub/b": "two\n"}),
    ("/d/", "new", {"new/a": "one\n", "new/sub/b": "two\n"}),
    ("/d/.", "new", {"new/a": "one\n", "new/sub/b": "two\n"}),
    ("/d", "new/", {"new/a": "one\n", "new/sub/b": "two\n"}),
    ("/d", "into", {"into/d/a": "one\n", "into/d/sub/b": "two\n", "into/kept": "kept\n"}),
    ("/d/.", "into", {"into/a": "one\n", "into/sub/b": "two\n", "into/kept": "kept\n"}),
    ("/link/.", "into", {"into/a": "one\n", "into/sub/b": "two\n", "into/kept": "kept\n"}),
    ("d/sub/../a", "new", {"new": "one\n"}),  # relative to the container's root
])
@pytest.mark.parametrize("side", ["out", "in"])
def test_where_a_copy_goes_is_as_docker_has_it(shared, place, side, source, target, result):
    goal = place / "goal"
    (goal / "into").mkdir(parents=True)
    (goal / "into/kept").write_text("kept\n")
    (goal / "old").write_text("old\n")
    if side == "out":
        shared.ok("cp", f"web:{source}", f"{goal}/{target}")
    else:  # the tree lies here, the goal in the container
        shared.ok("cp", "web:/d", place)
        (place / "link").symlink_to("d")
        shared.ok("cp", goal, f"web:{place}")
        shared.ok("cp", f"{place}/{source.lstrip('/')}", f"web:{goal}/{target}")
        goal = place / "back"
        shared.ok("cp", f"web:{place}/goal", goal)
    found = {name: text for name, text in tree(goal).items() if text is not None}
    assert found == {"old": "old\n", "into/kept": "kept\n", **result}
    assert leftovers(goal) == []


@pytest.mark.parametrize("source, target, said", [
    ("/d/a", "none/", "there is no directory"),
    ("/d/a", "none/x", "there is no directory"),
    ("/d", "old", "is no directory"),
    ("/d/a", "old/", "is no directory"),
    ("/d/a/", "new", "'web:/d/a' is no directory"),
    ("/nothing", "new", "there is no 'web:/nothing'"),
    ("/proc/cpuinfo", "new", "shown by the kernel"),
    ("/dev/null", "new", "is a device"),
])
def test_what_cannot_be_copied_is_said_and_nothing_changes(shared, place, source, target, said):
    (place / "old").write_text("old\n")
    assert said in shared.fails("cp", f"web:{source}", f"{place}/{target}")
    assert tree(place) == {"old": "old\n"}


@pytest.mark.parametrize("words, said", [
    (["a", "b"], "neither word names one"),
    (["web:/a", "web:/b"], "from one container to another"),
    (["web:", "x"], "names no path"),
    ([":/a", "x"], "names no container"),
    (["x", "WEB:/a"], "upper-case"),
    (["web:/a"], "usage: conductor cp FROM TO"),
    (["web:/a", "-", "--json"], "cannot both go to stdout"),
])
def test_wrong_words_are_answered_with_the_right_ones(shared, words, said):
    assert said in shared.fails("cp", *words, status=2)


def test_names_with_a_colon_and_ids_are_understood(web, here):
    (here / "we:ird").write_text("colon\n")
    web.ok("cp", "./we:ird", "web:/c", cwd=here)
    web.ok("cp", here / "we:ird", "web:/d:e")
    identity = web.json("inspect", "web")["id"]
    web.ok("cp", f"id:{identity[:12]}:/d:e", here / "back")
    assert inside(web, "cat", "/c") == (here / "back").read_text() == "colon\n"
    assert "no container named 'wob'" in web.fails("cp", here / "file", "wob:/x")


def test_a_link_at_the_target_is_followed_inside_and_replaced_here(web, here):
    inside(web, "ln", "-s", "/etc/later", "/l")
    web.ok("cp", here / "file", "web:/l")
    assert inside(web, "readlink", "/l").strip() == "/etc/later" and inside(web, "cat", "/etc/later") == "new\n"
    (here / "l").symlink_to(here / "file")
    web.ok("cp", "web:/d/a", here / "l")  # it may have come with an earlier copy
    assert (here / "file").read_text() == "new\n" and (here / "l").read_text() == "one\n" and not (here / "l").is_symlink()


def test_a_link_that_is_named_is_copied_as_it_is_or_followed(web, here):
    web.ok("cp", "web:/link", here / "as-it-is")
    web.ok("cp", "-L", "web:/link", here / "followed")
    assert os.readlink(here / "as-it-is") == "/d" and (here / "followed/a").read_text() == "one\n"
    (here / "out").symlink_to("file")
    web.ok("cp", here / "out", "web:/out")
    web.ok("cp", here / "out", "web:/out2", "-L")
    assert inside(web, "readlink", "/out").strip() == "file" and inside(web, "cat", "/out2") == "new\n"


# ---- what is copied of a file

def test_owners_are_roots_or_kept(web, here):
    os.chown(here / "file", 1000, 1001)
    os.chmod(here / "file", 0o640)
    web.ok("cp", here / "file", "web:/plain")
    web.ok("cp", "-a", here / "file", "web:/kept")
    assert inside(web, "stat", "-c", "%u:%g %a", "/plain", "/kept").split("\n")[:2] == ["0:0 640", "1000:1001 640"]
    web.ok("cp", "web:/kept", here / "mine")
    web.ok("cp", "web:/kept", here / "theirs", "--archive")
    assert [(os.stat(here / n).st_uid, os.stat(here / n).st_gid) for n in ("mine", "theirs")] == [(0, 0), (1000, 1001)]
    os.chown(here / "file", 100_000, 0)
    assert "belongs to 100000:0, and the container has ids below 65536" in web.fails("cp", "-a", here / "file", "web:/far")


def test_no_program_becomes_roots_on_the_way_out(web, here):
    inside(web, "sh", "-c", "cp /bin/busybox /d/su && chmod 6755 /d/su")
    web.ok("cp", "web:/d/su", here / "su")
    web.ok("cp", "-a", "web:/d/su", here / "kept")
    assert oct((here / "su").stat().st_mode) == "0o100755" and oct((here / "kept").stat().st_mode) == "0o106755"


def test_times_attributes_links_holes_and_long_names_arrive(web, here):
    place = here / "odd"
    place.mkdir()
    (place / "file").write_text("x")
    os.setxattr(place / "file", "user.note", b"yes")
    os.link(place / "file", place / "twin")
    os.symlink("nowhere", place / "dangling")
    os.mkfifo(place / "fifo")
    (place / ".wh.name").write_text("no whiteout")
    long = place / ("n" * 200) / ("m" * 250)
    long.parent.mkdir()
    long.write_text("long")
    (place / "b\xe4d\n\x1b[31m").write_text("name")
    with open(place / "sparse", "wb") as sparse:
        sparse.seek(8 << 20)
        sparse.write(b"end")
        sparse.truncate(16 << 20)
    os.utime(place / "file", ns=(10**18 + 1, 10**18 + 123_456_789))
    os.utime(place / "dir" if (place / "dir").exists() else long.parent, ns=(0, 5 * 10**9))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "socket"))
    said = web.run("cp", place, "web:/odd")
    assert said.returncode == 0 and "1 device or socket left out" in said.stderr
    web.ok("cp", "web:/odd", here / "back")
    back = here / "back"
    assert sorted(p.name for p in back.iterdir()) == sorted(p.name for p in place.iterdir() if p.name != "socket")
    assert (back / "file").stat().st_mtime_ns == 10**18 + 123_456_789 and long.parent.stat().st_mtime == 5
    assert (back / long.parent.name).stat().st_mtime_ns == 5 * 10**9
    assert os.getxattr(back / "file", "user.note") == b"yes"
    assert (back / "file").stat().st_ino == (back / "twin").stat().st_ino
    assert os.readlink(back / "dangling") == "nowhere" and (back / "fifo").is_fifo()
    assert (back / "sparse").read_bytes() == (place / "sparse").read_bytes()
    assert (back / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (back / long.relative_to(place)).read_text() == "long"


def test_a_tar_archive_comes_from_stdin_and_goes_to_stdout(web, here):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as made:
        made.add(here / "dir", "top")
    done = subprocess.run(web.command("cp", "-", "web:/d"), input=archive.getvalue(), capture_output=True, env=web.environment,
                          timeout=60)
    assert done.returncode == 0 and inside(web, "cat", "/d/top/deep/x") == "x\n"
    for path, names in (("/d/top", ["top", "top/deep", "top/deep/x"]), ("/d/top/.", [".", "deep", "deep/x"]),
                        ("/d/a", ["a"])):
        done = subprocess.run(web.command("cp", f"web:{path}", "-"), capture_output=True, env=web.environment, timeout=60)
        assert done.returncode == 0, done.stderr
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as read:
            assert read.getnames() == names
    cut = subprocess.run(web.command("cp", "-", "web:/d/sub"), input=archive.getvalue()[:-20], capture_output=True,
                         env=web.environment, timeout=60)
    assert cut.returncode == 1 and inside(web, "ls", "-A", "/d/sub") == "b\n"
    assert "there is no directory 'web:/none'" in web.fails("cp", "-", "web:/none", input="")
    assert "'web:/d/a' is no directory" in subprocess.run(web.command("cp", "-", "web:/d/a"), input=archive.getvalue(), env=web.environment,
                                                          capture_output=True, timeout=60).stderr.decode()


# ---- of which containers, and to which places in them

def test_a_paused_container_is_copied_from_and_to(web, here):
    web.ok("pause", "web")
    web.ok("cp", here / "file", "web:/d/c")
    web.ok("cp", "web:/d", here / "d")
    assert web.state("web") == "paused"
    web.ok("unpause", "web")
    assert tree(here / "d") == {"a": "one\n", "c": "new\n", "sub": None, "sub/b": "two\n"}


def test_a_stopped_and_a_never_started_container_are_too(web, here):
    web.ok("stop", "--keep", "web")
    os.chown(here / "file", 33, 33)
    web.ok("cp", "-a", here / "file", "web:/d/a")
    web.ok("cp", "web:/d", here / "d")
    assert tree(here / "d") == {"a": "new\n", "sub": None, "sub/b": "two\n"}
    web.ok("start", "web")
    assert inside(web, "stat", "-c", "%u", "/d/a") == "33\n"
    web.ok("create", "box", "two", "--", "cat", "/in")
    web.ok("cp", here / "file", "two:/in")
    web.ok("cp", "two:/bin/busybox", here / "busybox")
    assert os.access(here / "busybox", os.X_OK)
    web.ok("start", "two")
    assert web.ok("logs", "two") == "new\n" or web.ok("wait", "two") == ""


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_volumes_are_seen_and_their_ids_are_right(box, here, state):
    volume = box.directory / "volume"
    volume.mkdir()
    (volume / "there").write_text("volume\n")
    os.chown(volume / "there", 1000, 1000)
    box.ok("run", "-d", "box", "web", "-v", f"{volume}:/data", "--tmpfs", "/memory", "--", "sleep", "1000")
    if state == "stopped":
        box.ok("stop", "--keep", "web")
    else:
        box.ok("cp", here / "file", "web:/memory/f")
        assert inside(box, "cat", "/memory/f") == "new\n"
    os.chown(here / "file", 1000, 1000)
    box.ok("cp", "-a", here / "file", "web:/data/kept")
    box.ok("cp", here / "dir", "web:/")
    box.ok("cp", here, "web:/data")
    assert (volume / "kept").stat().st_uid == 1000 and (volume / "here/file").read_text() == "new\n"
    box.ok("cp", "-a", "web:/data/there", here / "there")
    assert (here / "there").stat().st_uid == 1000
    # A tree whose parts go to the root and to the volume.
    (here / "both/data").mkdir(parents=True)
    (here / "both/data/there").write_text("replaced\n")
    (here / "both/new").write_text("root\n")
    box.ok("cp", f"{here}/both/.", "web:/")
    assert (volume / "there").read_text() == "replaced\n"
    assert leftovers(volume) == []
    box.ok("cp", "web:/new", here / "seen")
    assert (here / "seen").read_text() == "root\n"


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_what_is_read_only_inside_stays_so(box, here, state):
    volume = box.directory / "volume"
    volume.mkdir()
    box.ok("run", "-d", "box", "web", "--read-only", "-v", f"{volume}:/data:ro", "-v", f"{here}:/w", "--", "sleep", "1000")
    if state == "stopped":
        box.ok("stop", "--keep", "web")
    for target in ("/x", "/data/x"):
        said = box.fails("cp", here / "file", f"web:{target}")
        assert "Read-only file system" in said and "hint: " in said
    box.ok("cp", here / "file", "web:/w/copy")
    assert (here / "copy").read_text() == "new\n" and list(volume.iterdir()) == []


def test_a_file_that_is_a_mount_of_its_own_cannot_be_replaced(box, here):
    box.ok("run", "-d", "box", "web", "-v", f"{here}/file:/one", "--", "sleep", "1000")
    assert "'web:/one' is a mount of its own" in box.fails("cp", here / "dir/deep/x", "web:/one")
    assert (here / "file").read_text() == "new\n"
    inside(box, "test", "!", "-e", "/.conductor-cp*")


# ---- all or nothing

def test_a_copy_that_meets_an_obstacle_puts_everything_back(web, here):
    """Some names are new, some are exchanged, then one cannot be."""
    inside(web, "sh", "-c", "mkdir -p /t/m /t/z && echo old > /t/b && echo old > /t/m/b && : > /t/z/keep")
    for name in ("a", "b", "m/a", "m/b", "z"):
        (here / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "t" / name).write_text("new")
    before = inside(web, "sh", "-c", "cd /t; find . | sort; cat b m/b; ls -i b m/b")
    assert "cannot copy over the directory 'web:/t/z'" in web.fails("cp", f"{here}/t/.", "web:/t")
    assert inside(web, "sh", "-c", "cd /t; find . | sort; cat b m/b; ls -i b m/b") == before
    place = web.directory / "place"
    (place / "t/z").mkdir(parents=True)
    (place / "t/b").write_text("old")
    web.ok("cp", here / "t", "web:/u")
    assert "cannot copy over the directory" in web.fails("cp", "web:/u/.", place / "t")
    assert tree(place) == {"t": None, "t/b": "old", "t/z": None}


@contextlib.contextmanager
def endless(conductor, *words):
    """A copy from stdin that never comes to an end by itself, begun and under way."""
    copy = subprocess.Popen(conductor.command(*words), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=conductor.environment)
    header = tarfile.TarInfo("big")
    header.size = 1 << 40
    copy.stdin.write(header.tobuf() + bytes(1 << 20) + b"x" * (1 << 20))
    copy.stdin.flush()
    yield copy
    copy.kill()
    copy.communicate()


@pytest.mark.parametrize("state", ["running", "stopped"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_copy_leaves_nothing(web, here, state, how):
    if state == "stopped":
        web.ok("stop", "--keep", "web")
    upper = next((web.root / "containers/id").iterdir()) / "rw/upper/d"
    before = tree(upper)
    with endless(web, "cp", "-", "web:/d") as copy:
        wait_until(lambda: leftovers(upper) != [])
        copy.send_signal(how)
        _, said = copy.communicate(timeout=30)
        assert copy.returncode != 0 and (how == signal.SIGKILL or b"interrupted" in said)
    wait_until(lambda: tree(upper) == before, what=lambda: tree(upper))
    web.ok("cp", here / "file", "web:/d/a")


def test_what_a_killed_copy_left_goes_with_the_next_one(web, here):
    upper = next((web.root / "containers/id").iterdir()) / "rw/upper/d"
    with endless(web, "cp", "-", "web:/d"):
        wait_until(lambda: leftovers(upper) != [])
        both = [int(line.split()[0]) for line in host.processes_using(web.root, web.run_directory)
                if " cp - " in line.replace("\0", " ") or "conductor-images" in line]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # the one that lives on would tidy up
            for pid in both:
                os.kill(pid, number)
        wait_until(lambda: not any("conductor-images" in line for line in host.processes_using(web.root, web.run_directory)))
    assert len(leftovers(upper)) == 1
    web.ok("cp", here / "file", "web:/d/")
    assert leftovers(upper) == []


def test_two_copies_into_one_directory_do_not_meet(web, here):
    names = [f"f{n}" for n in range(8)]
    copies = [web.start("cp", here / "file", f"web:/d/{name}") for name in names]
    assert [copy.wait(timeout=60) for copy in copies] == [0] * 8
    assert set(names) < set(inside(web, "ls", "/d").split())


def test_a_full_file_system_is_said_and_nothing_is_left(box, here):
    small = box.directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        box.ok("run", "-d", "box", "web", "-v", f"{small}:/small", "--", "sh", "-c", "seq 1 600000 > /big; sleep 1000")
        wait_until(lambda: int(inside(box, "wc", "-c", "/big").split()[0]) == 4088895)
        (small / "kept").write_text("kept")
        (here / "big").write_bytes(b"x" * (4 << 20))
        for words in ((here / "big", "web:/small/big"), ("web:/big", small / "big")):
            said = box.fails("cp", *words)
            assert "No space left on device" in said and "hint: " in said
            assert [p.name for p in small.iterdir()] == ["kept"]
        box.ok("cp", here / "file", "web:/small/big")
    finally:
        box.run("rm", "-f", "web")
        subprocess.run(["umount", "-l", small], check=True)


# ---- as every verb

def test_json_says_what_was_copied(web, here):
    assert web.json("cp", here / "dir", "web:/new") == {"from": str(here / "dir"), "to": "web:/new", "entries": 3, "bytes": 2}
    assert web.json("cp", "web:/new", here / "again")["entries"] == 3
    assert web.ok("cp", "web:/new", here / "third").endswith("3 files, 2B\n")


def test_a_gate_is_asked_of_both_sides_and_abort_rolls_back(web, here):
    (here / "wide").mkdir()
    for number in range(300):
        (here / f"wide/{number}").write_text(str(number))
    gated = Gated(web, "cp", here / "wide", "web:/wide")
    assert gated.drive(lambda call: "go")[0] == 0
    names = [call["name"] if "name" in call else call["call"] for call in gated.calls]
    assert any("rename" in name for name in names) and any("setns" in name for name in names)
    last = len(gated.calls) - 1
    for number in (last, last - 1, last // 2):
        count = iter(range(10_000))
        status, _, said = Gated(web, "cp", here / "wide", "web:/other").drive(
            lambda call, count=count, number=number: "abort" if next(count) == number else "go")
        if status != 0:
            assert inside(web, "sh", "-c", "ls -A / | grep -c -e other -e conductor-cp || true") == "0\n", number
        else:
            assert number == last and inside(web, "ls", "/other").count("\n") == 300
            inside(web, "rm", "-r", "/other")


def test_explain_narrates_both_sides(web, here):
    said = web.run("--explain", "cp", here / "dir", "web:/new").stderr
    for part in ("copy into 'web'", "nsenter", "unpack", "put the files in place", "mv -T"):
        assert part in said, part


def test_a_long_copy_keeps_other_commands_waiting_and_says_who_it_is(web, here):
    upper = next((web.root / "containers/id").iterdir()) / "rw/upper/d"
    with endless(web, "cp", "-", "web:/d"):
        wait_until(lambda: leftovers(upper) != [])
        said = web.fails("--wait", "0.2", "cp", here / "file", "web:/d/x")
        assert "cp" in said and "process" in said or "pid" in said
        assert inside(web, "cat", "/d/a") == "one\n"  # exec needs no lock
