"""What a hostile container can do while files are copied out of it or into it."""
import ctypes
import os
import subprocess
import threading

import pytest

EXCHANGE = 2  # RENAME_EXCHANGE, renameat2(2)
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def web(conductor):
    conductor.busybox_image("box")
    conductor.ok("run", "-d", "box", "web", "--", "sleep", "1000")
    return conductor


@pytest.fixture
def canary(conductor):
    place = conductor.directory / "canary"
    place.mkdir()
    (place / "secret").write_text("of the host\n")
    (place / "mine").write_text("old\n")
    return place


def untouched(canary):
    return sorted((p.name, p.read_text()) for p in canary.iterdir()) == [("mine", "old\n"), ("secret", "of the host\n")]


class Swapper(threading.Thread):
    """Two names of a running container change places as fast as the kernel can, seen through its own /proc/PID/root."""

    def __init__(self, conductor, first, second):
        super().__init__(daemon=True)
        root = f"/proc/{conductor.json('inspect', 'web')['pid']}/root"
        self.names = (root + first).encode(), (root + second).encode()
        self.rounds, self.ending = 0, False

    def run(self):
        while not self.ending:
            assert libc.renameat2(-100, self.names[0], -100, self.names[1], EXCHANGE) == 0, os.strerror(ctypes.get_errno())
            self.rounds += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.join()


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_directory_that_changes_places_with_a_link_leads_nowhere(web, canary, direction):
    """CVE-2018-15664: at least 10,000 exchanges while files are copied through the name."""
    web.ok("exec", "web", "--", "sh", "-c", f"mkdir /d && mkdir /d/x && echo inside > /d/x/secret && ln -s {canary} /d/y")
    (web.directory / "mine").write_text("new\n")
    out = web.directory / "out"
    done = 0
    with Swapper(web, "/d/x", "/d/y") as swapper:
        while done < 20 or swapper.rounds < 10_000:
            done += 1
            if direction == "in":
                web.run("cp", web.directory / "mine", "web:/d/x/mine")
                continue
            for source in ("web:/d/x/secret", "web:/d/x/.", "web:/d"):
                web.run("cp", source, out)
                texts = [p.read_text() for p in [out, *out.rglob("*")] if p.is_file() and not p.is_symlink()
                         and not any(q.is_symlink() for q in p.parents)]
                assert set(texts) <= {"inside\n"}, texts
                subprocess.run(["rm", "-rf", out], check=True)
    assert untouched(canary)


def test_links_of_the_image_lead_only_inside(web, canary):
    web.ok("exec", "web", "--", "sh", "-c",
           f"ln -s {canary} /away && ln -s ../../../../../..{canary} /up && ln -s /proc/self/root{canary} /magic && ln -s {canary}/mine /file")
    (web.directory / "mine").write_text("new\n")
    for target in ("/away/mine", "/up/mine", "/magic/mine", "/file", "/away", "/../../../../.." + str(canary) + "/mine"):
        web.run("cp", web.directory / "mine", f"web:{target}")
    for source in ("/away/secret", "/up/secret", "/magic/secret", "/away/."):
        assert web.run("cp", "-L", f"web:{source}", web.directory / "out").returncode == 1
    assert untouched(canary) and not (web.directory / "out").exists()


def test_what_came_out_before_does_not_lead_the_next_copy_away(web, canary):
    """First a link comes out, then files that would go through it."""
    web.ok("exec", "web", "--", "sh", "-c", f"mkdir /d && ln -s {canary} /d/sub && ln -s {canary}/mine /d/file")
    out = web.directory / "out"
    web.ok("cp", "web:/d", out)
    assert (out / "sub").is_symlink()
    web.ok("exec", "web", "--", "sh", "-c", "rm /d/sub /d/file && mkdir /d/sub && echo new > /d/sub/mine && echo new > /d/file")
    assert "cannot copy a directory over" in web.fails("cp", "web:/d/.", out)
    assert "cannot copy a directory over" in web.fails("cp", "web:/d/sub", out)
    web.ok("cp", "web:/d/file", out)
    assert untouched(canary) and not (out / "file").is_symlink()


def test_nothing_of_the_image_is_executed_or_loaded(web, canary):
    """CVE-2019-14271: libraries and configuration that a program of ours might look for, all of the container's making."""
    trap = "/etc/ld.so.preload /etc/ld.so.cache /etc/nsswitch.conf /etc/passwd /etc/group /etc/ssl/openssl.cnf"
    web.ok("exec", "web", "--", "sh", "-c",
           f"mkdir -p /etc/ssl /lib/x86_64-linux-gnu && for f in {trap}; do ln -sf /trap $f; done; echo x > /trap;"
           "for l in libnss_files.so.2 libgcc_s.so.1 libc.so.6; do echo x > /lib/x86_64-linux-gnu/$l; done; mkdir /d; echo x > /d/f")
    for words in (("web:/d", web.directory / "out"), (web.directory / "out", "web:/e")):
        log = web.directory / "strace"
        done = subprocess.run(["strace", "-f", "-o", log, "-e", "trace=execve,execveat,open,openat,openat2,setns,clone3,fork,vfork",
                               *web.command("cp", *words)], env=web.environment_under_strace(), capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        lines = log.read_text().splitlines()
        [visitor] = {line.split()[0] for line in lines if " setns(" in line}
        theirs = [line for line in lines if line.split()[0] == visitor]
        after = theirs[next(n for n, line in enumerate(theirs) if " setns(" in line):]
        assert not [line for line in after if "exec" in line or ".so" in line or "/etc" in line or "clone" in line], after
        assert [line for line in after if "openat2(" in line], "no guarded look-up: this test looks at the wrong process"
    for state in ("run", "stopped"):
        if state == "stopped":
            web.ok("stop", "--keep", "web")
        web.ok("cp", "web:/d/f", web.directory / f"f-{state}")


def test_a_tree_deeper_than_a_path_may_be_is_refused_in_words(web):
    web.ok("exec", "web", "--", "sh", "-c", "mkdir /d; cd /d; i=0; while [ $i -lt 400 ]; do mkdir x; cd x; i=$((i+1)); done")
    assert "too deep" in web.fails("cp", "web:/d", web.directory / "out")
    assert not (web.directory / "out").exists()
