"""Attacks that must fail, one class of published ones a test. Canaries outside the root stay as they were."""
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from support.program import program_path
from support.waiting import wait_until


def busybox():
    """The static busybox of the distribution, as the content of hostile images: ours, else the host's."""
    ours = program_path().resolve().parent / "share/busybox"
    return ours if ours.exists() else "/bin/busybox"


@pytest.fixture
def hostile(conductor):
    """Builds an image from nothing but a tree that the test lays out: hostile(name, lay_out, lines)."""

    def build(name, lay_out, *lines):
        context = conductor.directory / name
        tree = context / "tree"
        (tree / "bin").mkdir(parents=True)
        shutil.copy(busybox(), tree / "bin/busybox")
        os.chmod(tree / "bin/busybox", 0o755)
        for applet in ("sh", "ls", "cat", "touch", "id", "sleep", "pwd", "true"):
            os.symlink("busybox", tree / "bin" / applet)
        lay_out(tree)
        (context / "Conductorfile").write_text("\n".join(["FROM scratch", "COPY tree /", *lines, ""]))
        conductor.ok("build", name, context / "Conductorfile")
        return name

    return build


@pytest.fixture
def canary(conductor):
    """A directory of the host that nobody inside may touch."""
    directory = conductor.directory / "canary"
    directory.mkdir()
    (directory / "untouched").write_text("as it was")
    yield directory
    assert sorted(p.name for p in directory.iterdir()) == ["untouched"]
    assert (directory / "untouched").read_text() == "as it was"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def programs():
    folder = program_path().resolve().parent
    return [p for p in (folder / n for n in ("conductor", "conductor-images", "conductor-console")) if p.exists()]


def test_our_program_is_not_overwritten_through_proc_self_exe(hostile, conductor):
    """CVE-2019-5736: an entry point that means /proc/self/exe, and a loop that opens each /proc/PID/exe for writing."""
    before = [digest(p) for p in programs()]

    def lay_out(tree):
        (tree / "evil").write_text("#!/proc/self/exe\n")
        os.chmod(tree / "evil", 0o755)

    hostile("evil", lay_out)
    assert conductor.run("run", "evil", "--rm", "--", "/evil").returncode != 0
    loop = "while :; do for p in /proc/[0-9]*/exe; do (echo x > $p) 2>/dev/null && echo $p >> /written; done; done"
    conductor.ok("run", "evil", "one", "-d", "--", "sh", "-c", loop)
    for _ in range(20):
        conductor.run("exec", "one", "--", "/evil")
        conductor.ok("exec", "one", "--", "true")
    assert [digest(p) for p in programs()] == before


def lies_on_a_read_only_mount(pid):
    return os.statvfs(f"/proc/{pid}/exe").f_flag & os.ST_RDONLY != 0 and os.readlink(f"/proc/{pid}/exe") == "/"


def test_whoever_shows_our_program_to_root_of_the_host_runs_it_from_a_read_only_mount(conductor):
    """Each verb that starts or enters such a container; and no other, which would pay for nothing."""
    conductor.busybox_image("box")
    sleep = ["--", "sleep", "1000"]

    def keepers():
        return {c["name"]: conductor.json("inspect", c["name"])["keeper"] for c in conductor.json("ps")}

    def check(*expected):
        found = {name: lies_on_a_read_only_mount(pid) for name, pid in keepers().items()}
        assert found == {name: name.startswith("bare") for name in expected}
        assert {Path(f"/proc/{pid}/comm").read_text() for pid in keepers().values()} == {"conductor\n"}

    conductor.ok("run", "-d", "box", "own", *sleep)
    conductor.ok("run", "-d", "--userns", "host", "box", "bare", *sleep)
    check("own", "bare")
    conductor.ok("create", "box", "own2", *sleep)
    conductor.ok("create", "--userns", "host", "box", "bare2", "--init", *sleep)
    conductor.ok("start", "own2")
    conductor.ok("stop", "--keep", "-t", "0", "own2")
    assert conductor.ok("start", "own2", "bare2").split() == ["own2", "bare2"]
    conductor.ok("restart", "own2", "-t", "0")
    conductor.ok("stop", "--keep", "-t", "0", "bare2")
    conductor.ok("restart", "bare", "bare2", "-t", "0")
    check("own", "bare", "bare2", "own2")
    assert conductor.ok("exec", "bare", "--", "echo", "hello") == "hello\n"
    assert conductor.ok("run", "--rm", "--userns", "host", "box", "--", "echo", "hello") == "hello\n"
    # One stream, whose first line is said once.
    lines = [json.loads(line) for line in conductor.ok("exec", "bare", "--events", "1", "--", "true").splitlines()]
    assert [line["event"] for line in lines].count("hello") == 1
    assert [line["event"] for line in lines].count("result") == 1


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50])
def test_a_descriptor_is_no_working_directory_of_run(conductor, number):
    """CVE-2024-21626."""
    conductor.busybox_image("box")
    said = conductor.fails("run", "box", "--rm", "-w", f"/proc/self/fd/{number}", "--", "pwd", status=126)
    assert f"/proc/self/fd/{number}" in said


def test_a_descriptor_is_no_working_directory_of_exec(conductor):
    conductor.busybox_image("box")
    conductor.ok("run", "box", "one", "-d", "--", "sleep", "1000")
    for number in range(3, 51):
        conductor.fails("exec", "one", "-w", f"/proc/self/fd/{number}", "--", "pwd", status=126)
        conductor.fails("exec", "one", "-w", f"/proc/1/fd/{number}/..", "--", "pwd", status=126)


def test_a_descriptor_is_no_working_directory_of_an_image(hostile, conductor):
    hostile("lost", lambda tree: None, "WORKDIR /proc/self/fd/7")
    done = conductor.run("run", "lost", "--rm", "--", "pwd")
    assert done.returncode == 126 or done.stdout.strip().startswith("/")
    assert "fd/7" not in done.stdout


@pytest.mark.parametrize("target", ["/", "..", "../../../../../../../..", "/tmp", "CANARY", "/bin"])
@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_pseudo_file_system_never_lands_outside(hostile, conductor, canary, name, target):
    """CVE-2019-19921, CVE-2023-27561 and others: the image's /proc, /sys or /dev is a link."""
    target = str(canary) if target == "CANARY" else target
    nodes = sorted(os.listdir("/dev"))
    hostile("linked", lambda tree: os.symlink(target, tree / name))
    said = conductor.fails("run", "linked", "--rm", "--", "true", status=125)
    assert f"/{name}" in said and "symlink" in said
    assert sorted(os.listdir("/dev")) == nodes


def test_a_volume_never_lands_outside(hostile, conductor, canary):
    """CVE-2021-30465: the target of a volume is a link of the image."""
    source = conductor.directory / "source"
    source.mkdir()
    (source / "shared").write_text("hello")

    def lay_out(tree):
        os.symlink(canary, tree / "absolute")
        os.symlink("../" * 20 + str(canary).lstrip("/"), tree / "relative")

    hostile("linked", lay_out)
    for link in ("absolute", "relative"):
        out = conductor.ok("run", "linked", "--rm", "-v", f"{source}:/{link}", "--", "cat", f"/{link}/shared")
        assert out == "hello"


@pytest.mark.parametrize("further", ["", "/a/b"], ids=["at the end", "on the way"])
@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_no_link_of_an_image_leads_what_is_mounted_or_a_device_outside(hostile, conductor, canary, kind, further):
    """Directories, files and nodes that are made for them stay in the root, wherever in the path the link is."""
    target = str(canary) if kind == "absolute" else "dev/../" + "../" * 20 + str(canary).lstrip("/")
    source = conductor.directory / "source"
    source.mkdir()
    (source / "shared").write_text("hello")

    def lay_out(tree):
        (tree / "dev").mkdir()
        for link in ("one", "two", "three", "dev/net"):
            os.symlink(target, tree / link)

    hostile("linked", lay_out)
    nodes = sorted(os.listdir("/dev"))
    for options, seen in ((["-v", f"{source}:/one{further}"], f"/one{further}/shared"),
                          (["-v", f"{source}/shared:/two{further}"], f"/two{further}")):
        assert conductor.ok("run", "linked", "--rm", *options, "--", "cat", seen) == "hello"
    mounts = conductor.ok("run", "linked", "--rm", "--tmpfs", f"/three{further}", "--", "cat", "/proc/mounts")
    assert f" {canary}{further} tmpfs " in mounts
    out = conductor.ok("run", "linked", "--rm", "--device", "/dev/net/tun", "--device", "/dev/../dev/full", "--", "ls", "-l",
                       "/dev/net")
    assert out.startswith("total 0\ncrw-rw-rw-") and out.endswith(" tun\n")
    assert sorted(os.listdir("/dev")) == nodes


def test_a_step_of_a_build_leads_the_cleaning_up_behind_it_nowhere(hostile, conductor):
    """Mount points that were made for the step are taken out of its layer; /etc is a link to the host by then."""
    outside = conductor.directory / "outside"
    outside.mkdir()
    for name in ("resolv.conf", "hosts"):
        (outside / name).touch()
    hostile("led", lambda tree: None, f"RUN --network=none [\"/bin/busybox\", \"ln\", \"-s\", \"{outside}\", \"/etc\"]")
    assert sorted(os.listdir(outside)) == ["hosts", "resolv.conf"]
    assert os.readlink(next(conductor.root.glob("layers/*/diff/etc"))) == str(outside)


def test_nodes_of_the_images_dev_lead_nowhere(hostile, conductor, canary):
    """CVE-2025-31133, CVE-2025-52565: /dev/null and /dev/console of the image point elsewhere."""

    def lay_out(tree):
        (tree / "dev/pts").mkdir(parents=True)
        for name in ("dev/null", "dev/console", "dev/ptmx", "dev/pts/0"):
            os.symlink(canary / "untouched", tree / name)
        (tree / "proc").mkdir()

    hostile("nodes", lay_out)
    out = conductor.ok("run", "nodes", "--rm", "--", "sh", "-c", "echo x > /dev/null; ls -l /dev/null; cat /dev/null")
    assert out.startswith("crw-rw-rw-") and "as it was" not in out


@pytest.mark.parametrize("options", [[], ["--userns", "host"]], ids=["mapped", "host"])
def test_a_device_node_of_an_image_opens_nothing(conductor, options):
    """Put into the layer by hand, since no build makes one. /dev/null's number: no device controller would object."""
    conductor.busybox_image("box")
    layer = next(p.parent.parent for p in conductor.root.rglob("bin/busybox"))
    os.mknod(layer / "node", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    out = conductor.ok("run", "box", "--rm", *options, "--", "sh", "-c", "(echo x > /node) 2>/dev/null || echo refused")
    assert out == "refused\n"


def test_exec_shows_no_descriptor_of_the_host(conductor):
    """CVE-2016-9962: whoever is inside looks at each process that joins."""
    conductor.busybox_image("box")
    loop = "while :; do for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null; done >> /seen; : > /running; done"
    conductor.ok("run", "box", "spy", "-d", "--", "sh", "-c", loop)
    wait_until(lambda: conductor.run("exec", "spy", "--", "test", "-e", "/running").returncode == 0, 10)
    for _ in range(20):
        conductor.ok("exec", "spy", "--", "true")
    seen = conductor.ok("exec", "spy", "--", "cat", "/seen")
    assert str(conductor.directory) not in seen
    assert "/sys/fs/cgroup" not in seen


def test_the_cgroup_tree_has_nothing_to_take_over(conductor):
    """CVE-2022-0492: release_agent, through what is mounted or a mount of one's own."""
    conductor.busybox_image("box")
    out = conductor.ok("run", "box", "--rm", "--", "sh", "-c",
                       "mkdir /c; for c in memory pids rdma; do mount -t cgroup -o $c c /c 2>/dev/null && echo mounted;"
                       " unshare -U -r true 2>/dev/null && echo unshared; done; find /sys/fs/cgroup -name release_agent")
    assert out == ""


def test_namespaces_and_mounts_of_ones_own_are_refused(conductor):
    conductor.busybox_image("box")
    for attempt in ("unshare -U true", "unshare -n true", "unshare -m true", "mount -t tmpfs t /mnt",
                    "mount -o remount,rw /sys", "umount /proc", "chroot / umount /sys/firmware", "hostname other"):
        out = conductor.ok("run", "box", "--rm", "--", "sh", "-c", f"mkdir -p /mnt; {attempt} 2>/dev/null || echo refused")
        assert out == "refused\n", attempt


def make_link(path):
    os.symlink("/proc/self/environ", path)


def make_huge(path):
    path.write_text("web:x:33:33::/:\n")
    os.truncate(path, 1 << 30)


@pytest.mark.parametrize("make", [make_link, os.mkdir, make_huge], ids=["link", "directory", "huge"])
def test_an_odd_passwd_is_no_trap(hostile, conductor, make):
    """CVE-2024-9676: bounded, and inside the root."""

    def lay_out(tree):
        (tree / "etc").mkdir()
        make(tree / "etc/passwd")

    hostile("odd", lay_out)
    assert conductor.ok("run", "odd", "--rm", "-u", "33", "--", "id", "-u") == "33\n"
    assert "passwd" in conductor.fails("run", "odd", "--rm", "-u", "web", "--", "id", "-u", status=126)


def test_a_fifo_as_passwd_does_not_block(hostile, conductor):
    hostile("plain", lambda tree: (tree / "etc").mkdir(), "RUN [\"/bin/busybox\", \"mkfifo\", \"/etc/passwd\"]")
    # Not id(1) inside: that would read the FIFO.
    out = conductor.ok("run", "plain", "--rm", "-u", "33", "--", "cat", "/proc/self/status", timeout=20)
    assert "Uid:\t33\t33\t33\t33\n" in out
    assert "passwd" in conductor.fails("run", "plain", "--rm", "-u", "web", "--", "true", status=126, timeout=20)
