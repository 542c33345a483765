"""diff: what a container changed of its image's files, exactly."""
import os

import pytest
from support.program import Conductor

RECIPE = """FROM busybox
RUN mkdir -p /d/e /d/f /gone /touched /swap && echo old > /d/e/x && echo old > /d/y && echo old > /gone/z && echo a > /same && ln -s a /link
RUN echo keep > /d/f/keep && echo other > /d/f/other && chmod 600 /same && rm /d/y && echo again > /d/y
"""


@pytest.fixture(scope="module")
def shared():
    program = Conductor()
    (program.directory / "R").write_text(RECIPE)
    program.ok("build", "image", program.directory / "R")
    yield program
    program.close()


@pytest.fixture
def web(shared):
    """One image for all tests; the container is each one's own."""
    yield shared
    shared.remove_containers()


def start(conductor, *options):
    conductor.ok("run", "-d", "image", "web", *options, "--", "sleep", "1000")


def diff_after(conductor, script, *options):
    start(conductor, *options)
    conductor.ok("exec", "web", "--", "sh", "-c", script)
    return conductor.ok("diff", "web").splitlines()


@pytest.mark.parametrize("script, lines", [
    ("true", []),
    ("echo new > /d/new", ["C /d", "A /d/new"]),
    ("mkdir -p /n/m && echo x > /n/m/x", ["A /n", "A /n/m", "A /n/m/x"]),
    ("echo longer > /d/e/x", ["C /d", "C /d/e", "C /d/e/x"]),
    ("rm /d/y", ["C /d", "D /d/y"]),
    ("rm -r /gone", ["D /gone"]),
    ("rm -r /d/f && mkdir /d/f && echo keep > /d/f/keep", ["C /d", "C /d/f", "C /d/f/keep", "D /d/f/other"]),
    ("chmod 644 /same", ["C /same"]),
    ("chown 5 /same", ["C /same"]),
    ("touch /same", ["C /same"]),
    ("chmod 700 /touched", ["C /touched"]),
    ("touch -d @1 /touched", ["C /touched"]),
    ("chmod 600 /same; echo >> /same; touch -r /same /t; printf 'a\\n' > /same; touch -d @7 /same; rm /t", ["C /same"]),
    (": >> /same", []),                                # opened for writing, and left as it was
    ("echo x > /n && rm /n", []),
    ("rm -r /swap && echo x > /swap", ["C /swap"]),    # a directory became a file
    ("rm /same && mkdir /same && echo x > /same/x", ["C /same", "A /same/x"]),
    ("ln -sfn b /link", ["C /link"]),
    ("rm /d/e/x /d/y; rmdir /d/e", ["C /d", "D /d/e", "D /d/y"]),
    ("mkfifo /pipe", ["A /pipe"]),
    ("mv /gone /moved", ["D /gone", "A /moved", "A /moved/z"]),
])
def test_each_kind_of_change_is_told(web, script, lines):
    assert diff_after(web, script) == lines
    web.ok("stop", "--keep", "web")
    assert web.ok("diff", "web").splitlines() == lines  # the same when nobody looks at the files any more


def test_content_counts_where_all_else_is_the_same(web):
    """Same size, same time, same owner: only reading tells."""
    start(web)
    stamp = web.ok("exec", "web", "--", "stat", "-c", "%Y", "/same").strip()
    upper = next((web.root / "containers/id").iterdir()) / "rw/upper/same"
    web.ok("exec", "web", "--", "sh", "-c", "printf 'b\\n' > /same")
    layer = next(p for p in web.root.glob("layers/*/diff/same"))
    os.utime(upper, ns=(layer.stat().st_mtime_ns, layer.stat().st_mtime_ns))
    assert int(stamp) == int(upper.stat().st_mtime) and upper.stat().st_size == layer.stat().st_size
    assert web.ok("diff", "web") == "C /same\n"


def test_what_a_start_makes_for_mounts_is_no_change(web):
    volume = web.directory / "v"
    volume.mkdir()
    (volume / "f").write_text("x")
    lines = diff_after(web, "echo x > /deep/er/vol/new; echo x > /tmpfs/new", "-v", f"{volume}:/deep/er/vol", "-v",
                       f"{volume}/f:/a/file", "--tmpfs", "/tmpfs")
    assert lines == []
    web.ok("exec", "web", "--", "sh", "-c", "echo x > /deep/beside")
    assert web.ok("diff", "web").splitlines() == ["A /deep", "A /deep/beside"]


def test_scratch_images_and_containers_that_never_ran(conductor):
    (conductor.directory / "R").write_text("FROM scratch\n")
    conductor.ok("build", "empty", conductor.directory / "R")
    conductor.ok("create", "empty", "web", "--", "/x")
    assert conductor.ok("diff", "web") == ""
    (conductor.directory / "x").write_text("x")
    conductor.ok("cp", conductor.directory / "x", "web:/x")
    assert conductor.ok("diff", "web") == "A /x\n"


def test_json_and_odd_names(web):
    start(web)
    web.ok("exec", "web", "--", "sh", "-c", r"cd /d; : > $(printf 'a\033[31m'); rm y")
    assert web.ok("diff", "web").splitlines()[:2] == ["C /d", r"A /d/a\x1b[31m"]
    assert web.json("diff", "web") == [{"path": "/d", "change": "changed"}, {"path": "/d/a\x1b[31m", "change": "added"},
                                       {"path": "/d/y", "change": "deleted"}]
    assert "no container named 'wob'" in web.fails("diff", "wob")
