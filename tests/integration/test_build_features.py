"""What build files can say that not every docker understands, and what the cache says about its misses."""
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading

import pytest
from support.waiting import wait_until

from test_build import build, context, image, inside, refused


def steps(conductor, top, *options, **more):
    """What a build says: each step's title with what stands behind it in brackets."""
    done = conductor.run("build", "web", top / "Conductorfile", *options, **more)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line[:1].isdigit() and "/" in line.split(" ")[0]]


def why(conductor, top, *options, **more):
    """Of the steps that were not in the cache, why: {"COPY app /opt": "app/f17 changed"}."""
    found = {}
    for line in steps(conductor, top, *options, **more):
        if line.endswith(")") and "  (" in line:
            title, _, reason = line[:-1].partition("  (")
            if reason not in ("cached", "changes the configuration only"):
                found[title.partition(" ")[2]] = reason
    return found


# ---- here-documents


def test_run_takes_a_here_document_for_its_command(conductor):
    build(conductor, "FROM busybox\nARG A=1\nRUN <<EOF\necho \"$A\" > /one\nfor i in a b; do\n  echo $i >> /two\ndone\nEOF\n"
                     "RUN <<-'X' \n\techo tabs > /three\n\tX\n")
    assert inside(conductor, "cat", "/one", "/two", "/three") == "1\na\nb\ntabs\n"


def test_a_here_document_with_an_interpreter_is_a_program(conductor):
    build(conductor, "FROM busybox\nUSER www-data\nRUN <<EOF\n#!/usr/bin/awk -f\nBEGIN { print \"awk\" > \"/tmp/made\" }\nEOF\n")
    assert inside(conductor, "cat", "/tmp/made") == "awk\n"
    assert inside(conductor, "sh", "-c", "ls /dev/pipes 2>&1 | grep -c .") == "1\n", "the program itself is not in the image"


def test_run_hands_here_documents_to_its_shell(conductor):
    build(conductor, "FROM busybox\nRUN cat <<one > /x && sh <<'two'\nfirst $HOME\none\necho second > /y\ntwo\nRUN sh <<EOF\necho third > /z\nEOF\n")
    assert inside(conductor, "cat", "/x", "/y", "/z") == "first /root\nsecond\nthird\n"


def test_copy_writes_here_documents(conductor):
    build(conductor, "FROM busybox\nENV WHO=world\n"
                     "COPY <<EOF /hello\nhello \"$WHO\" \\$WHO\nEOF\n"
                     "COPY --chmod=755 --chown=3:4 <<one <<\"two\" plain /in/\none is $WHO\none\ntwo is $WHO\ntwo\n"
                     "ADD <<-last /etc/\n\ttabs\n\tlast\n", {"plain": "p"})
    assert inside(conductor, "cat", "/hello") == 'hello "world" $WHO\n'
    assert inside(conductor, "cat", "/in/one", "/in/two", "/in/plain", "/etc/last") == "one is world\ntwo is $WHO\nptabs\n"
    assert inside(conductor, "stat", "-c", "%a %u:%g", "/in/one", "/hello") == "755 3:4\n644 0:0\n"


# ---- COPY


def test_copy_excludes(conductor):
    build(conductor, "FROM busybox\nCOPY --exclude=*.txt --exclude=sub/deep --exclude=!keep.txt d /x\nCOPY --exclude=b* a b c /y/\n",
          {"d/a.txt": "", "d/keep.txt": "", "d/b": "", "d/sub/deep/x": "", "d/sub/y": "", "a": "", "b": "", "c": ""})
    assert inside(conductor, "sh", "-c", "cd /x; find . -type f | sort; ls /y").split() == ["./b", "./keep.txt", "./sub/y", "a", "c"]


def test_copy_with_parents(conductor):
    build(conductor, "FROM busybox\nCOPY --parents a/one.c b/**/*.c /x/\nCOPY --parents b/./c/d /y/\n",
          {"a/one.c": "", "b/c/two.c": "", "b/c/d/three.c": "", "b/c/no.h": "", "top.c": ""})
    assert inside(conductor, "sh", "-c", "cd /; find x y -type f | sort").split() == [
        "x/a/one.c", "x/b/c/d/three.c", "x/b/c/two.c", "y/c/d/three.c"]


def test_a_link_as_destination_stays_in_the_image(conductor):
    canary = conductor.directory / "canary"
    canary.write_text("untouched")
    build(conductor, f"FROM busybox\nRUN echo old > /etc/target && ln -s ../../../etc/target /in && ln -s {canary} /out\n"
                     "COPY a /in\nCOPY a /out\n", {"a": "new"})
    assert inside(conductor, "cat", "/etc/target") == "new"
    assert canary.read_text() == "untouched"


# ---- ADD


def hostile(name, kind=tarfile.REGTYPE, link=""):
    def make(path):
        with tarfile.open(path, "w") as tar:
            for each in ("etc", name):
                entry = tarfile.TarInfo(each)
                entry.type, entry.mode = (tarfile.DIRTYPE, 0o755) if each == "etc" else (kind, 0o644)
                entry.linkname = link
                tar.addfile(entry)
    return make


@pytest.mark.parametrize("name, kind, link", [
    ("../out", tarfile.REGTYPE, ""), ("/out", tarfile.REGTYPE, ""), ("etc/../../out", tarfile.REGTYPE, ""),
    ("etc/.wh.passwd", tarfile.REGTYPE, ""), ("h", tarfile.LNKTYPE, "../../../etc/passwd")])
def test_hostile_archives_are_refused(conductor, name, kind, link):
    said = refused(conductor, "FROM busybox\nADD a.tar /x/\n", {"a.tar": hostile(name, kind, link)})
    assert "Conductorfile:2: ADD: unpack a.tar" in said
    assert conductor.json("images") == []


def test_an_archive_through_a_link_of_its_own_stays_inside(conductor):
    canary = conductor.directory / "canary"
    canary.mkdir()

    def make(path):
        with tarfile.open(path, "w") as tar:
            entry = tarfile.TarInfo("way")
            entry.type, entry.linkname = tarfile.SYMTYPE, str(canary)
            tar.addfile(entry)
            tar.addfile(tarfile.TarInfo("way/file"))
    conductor.run("build", "web", context(conductor, {"Conductorfile": "FROM busybox\nADD a.tar /x/\n", "a.tar": make}) / "Conductorfile")
    assert list(canary.iterdir()) == []


def test_zstd_archives_are_unpacked(conductor):
    if shutil.which("zstd") is None:
        pytest.skip("THE PROGRAM zstd IS MISSING")
    def make(path):
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            entry = tarfile.TarInfo("f")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"abc"))
        path.write_bytes(subprocess.run(["zstd", "-c"], input=plain.getvalue(), capture_output=True, check=True).stdout)
    build(conductor, "FROM busybox\nADD a.zst /x/\n", {"a.zst": make})
    assert inside(conductor, "cat", "/x/f") == "abc"


@pytest.fixture
def web_server(tmp_path):
    """A directory served on loopback; `seen` counts what was asked for."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        seen = []

        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path))

        def do_GET(self):
            self.seen.append(self.path)
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved"))
                self.end_headers()
                return
            super().do_GET()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.files, server.seen = tmp_path, Handler.seen
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_add_fetches(conductor, web_server):
    (web_server.files / "file.bin").write_bytes(b"fetched")
    os.utime(web_server.files / "file.bin", (1000000000, 1000000000))
    build(conductor, f"FROM busybox\nADD {web_server.address}/file.bin /etc/\nADD --chmod=755 --chown=4:5 {web_server.address}/moved/file.bin?x=1 /name\n")
    assert inside(conductor, "cat", "/etc/file.bin", "/name") == "fetchedfetched"
    assert inside(conductor, "stat", "-c", "%a %u:%g %Y", "/etc/file.bin", "/name") == "600 0:0 1000000000\n755 4:5 1000000000\n"
    assert "the server answers 404" in refused(conductor, f"FROM busybox\nADD {web_server.address}/none /x\n")


def test_a_download_is_an_input_of_its_step(conductor, web_server):
    (web_server.files / "f").write_text("one")
    recipe = f"FROM busybox\nADD {web_server.address}/f /f\n"
    top = context(conductor, {"Conductorfile": recipe})
    steps(conductor, top)
    assert why(conductor, top) == {}
    (web_server.files / "f").write_text("two")
    assert list(why(conductor, top).values()) == [f"{web_server.address}/f changed"]
    assert inside(conductor, "cat", "/f") == "two"


def test_a_checksum_is_checked_and_saves_the_download(conductor, web_server):
    (web_server.files / "f").write_text("content")
    digest = hashlib.sha256(b"content").hexdigest()
    top = context(conductor, {"Conductorfile": f"FROM busybox\nADD --checksum=sha256:{digest} {web_server.address}/f /f\n"})
    steps(conductor, top)
    assert len(web_server.seen) == 1
    assert why(conductor, top) == {}
    assert len(web_server.seen) == 1, "what is known by its digest is not fetched again"
    assert "not what --checksum says" in refused(
        conductor, f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {web_server.address}/f /f\n")


# ---- RUN --mount


def test_a_secret_is_seen_by_its_step_only(conductor):
    secret = conductor.directory / "secret"
    secret.write_text("s3cr3t-value")
    top = context(conductor, {"Conductorfile":
                  "FROM busybox\nRUN --mount=type=secret,id=key --mount=type=secret,id=key,target=/etc/key,mode=0444,uid=33 "
                  "sha256sum < /run/secrets/key > /seen; stat -c '%a %u' /run/secrets/key /etc/key > /stat; ! echo x > /etc/key 2>/dev/null\n"
                  "RUN --mount=type=secret,id=key,env=KEY sha256sum > /env <<EOF\n$KEY\nEOF\n"
                  "RUN ls -A /run > /left; ls /etc/key >> /left 2>&1; echo \"[$KEY]\" >> /left\n"})
    conductor.ok("build", "web", top / "Conductorfile", "--secret", f"id=key,src={secret}")
    digest = hashlib.sha256(b"s3cr3t-value").hexdigest()
    assert inside(conductor, "cat", "/seen").split()[0] == digest
    assert inside(conductor, "cat", "/stat") == "400 0\n444 33\n"
    assert inside(conductor, "cat", "/left") == "ls: /etc/key: No such file or directory\n[]\n"
    found = subprocess.run(["grep", "-rlF", "s3cr3t-value", conductor.root, conductor.run_directory], capture_output=True, text=True)
    assert found.stdout == "", "it is nowhere on the disk"
    secret.write_text("another")
    assert "cached" in conductor.run("build", "web", top / "Conductorfile", "--secret", f"id=key,src={secret}").stderr
    conductor.ok("build", "web", top / "Conductorfile")  # nor is it needed for what is cached


def test_a_required_secret_that_is_missing(conductor):
    said = refused(conductor, "FROM busybox\nRUN --mount=type=secret,id=key,required=true true\n")
    assert "Conductorfile:2: RUN: the secret 'key' is required and was not given" in said
    assert "hint: --secret id=key,src=FILE" in said


def test_a_cache_lives_from_build_to_build(conductor):
    recipe = "FROM busybox\nARG N\nRUN --mount=type=cache,target=/root/.cache,mode=0700,uid=5 echo $N >> /root/.cache/all; cat /root/.cache/all > /all; stat -c '%a %u' /root/.cache > /stat\n"
    for number in "12":
        build(conductor, recipe, None, "--build-arg", f"N={number}")
    assert inside(conductor, "cat", "/all", "/stat") == "1\n2\n700 5\n"
    assert inside(conductor, "sh", "-c", "ls -A /root") == "", "its place does not stay in the image"
    conductor.ok("rmcache")
    build(conductor, recipe, None, "--build-arg", "N=3")
    assert inside(conductor, "cat", "/all") == "3\n"


def test_a_locked_cache_is_used_by_one_step_at_a_time(conductor):
    recipe = "FROM busybox\nARG N\nRUN --mount=type=cache,target=/c,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 0.4 && rm /c/busy\n"
    top = context(conductor, {"Conductorfile": recipe})
    conductor.busybox_image()
    running = [conductor.start("build", f"web{n}", top / "Conductorfile", "--build-arg", f"N={n}") for n in range(3)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


def test_a_step_may_mount_a_locked_cache_twice(conductor):
    """In one step it is one user, and two steps that lock two caches in another order do not wait for each other."""
    mount = "--mount=type=cache,sharing=locked,id={},target=/{}"
    build(conductor, f"FROM busybox\nRUN {mount.format('a', 'one')} {mount.format('a', 'two')} touch /one/f && test -e /two/f\n")
    recipe = (f"FROM busybox\nARG N\nRUN {{}} [ $N = 0 ] || sleep 0.2\n")
    there, back = (mount.format("a", "a"), mount.format("b", "b")), (mount.format("b", "b"), mount.format("a", "a"))
    for name, mounts in (("there", there), ("back", back)):
        (conductor.directory / name).write_text(recipe.format(" ".join(mounts)))
    for number in range(6):
        running = [conductor.start("build", name, conductor.directory / name, "--build-arg", f"N={number}")
                   for name in ("there", "back")]
        for process in running:
            _, said = process.communicate(timeout=30)
            assert process.returncode == 0, said


def test_private_caches_are_apart(conductor):
    recipe = "FROM busybox\nARG N\nRUN --mount=type=cache,target=/c,sharing=private test ! -e /c/busy && touch /c/busy && sleep 0.4 && rm /c/busy\n"
    top = context(conductor, {"Conductorfile": recipe})
    conductor.busybox_image()
    running = [conductor.start("build", f"web{n}", top / "Conductorfile", "--build-arg", f"N={n}") for n in range(2)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


def test_bind_mounts(conductor):
    build(conductor, "FROM busybox AS other\nRUN mkdir /o && echo stage > /o/f && chown 7 /o/f\n"
                     "FROM busybox\n"
                     "RUN --mount=target=/ctx cp /ctx/d/a /a; ls -A /ctx > /list; ! touch /ctx/x 2>/dev/null\n"
                     "RUN --mount=target=/ctx,source=d,rw echo new > /ctx/a; touch /ctx/b\n"
                     "RUN --mount=source=d/a,target=/somewhere/file cat /somewhere/file > /b\n"
                     "RUN --mount=from=other,source=/o,target=/o stat -c '%u' /o/f > /c; ! touch /o/f 2>/dev/null\n"
                     "RUN --mount=from=other,source=/o/f,target=/file,rw cat /file >> /c; echo more >> /file\n"
                     "RUN ls -d /ctx /o /file /somewhere > /left 2>/dev/null || true\n",
          {"d/a": "from the context", "ignored": "", ".dockerignore": "ignored\n.dockerignore\nConductorfile\n"})
    assert inside(conductor, "cat", "/a", "/b") == "from the context" * 2
    assert inside(conductor, "cat", "/list") == "d\n"
    assert inside(conductor, "cat", "/c") == "7\nstage\n"
    assert inside(conductor, "cat", "/left") == ""
    assert (conductor.directory / "context/d/a").read_text() == "from the context"
    assert not (conductor.directory / "context/d/b").exists()


def test_a_changed_bind_mount_runs_the_step_again(conductor):
    top = context(conductor, {"Conductorfile": "FROM busybox\nRUN --mount=target=/c,source=d cat /c/* > /all\n", "d/a": "1"})
    steps(conductor, top)
    assert why(conductor, top) == {}
    (top / "d/a").write_text("2")
    assert list(why(conductor, top).values()) == ["d/a changed"]
    assert inside(conductor, "cat", "/all") == "2"


def test_a_bind_mount_of_the_context_never_leaves_it(conductor):
    assert "Conductorfile:2: RUN: --mount" in refused(
        conductor, "FROM busybox\nRUN --mount=target=/c,source=l cat /c/shadow\n", {"l": lambda p: p.symlink_to("/etc")})


@pytest.mark.parametrize("source", ["/nope", "nope/x", "/loose", "/up/file", "/bin/busybox/x"])
def test_a_bind_mount_of_what_another_image_lacks(conductor, source):
    said = refused(conductor, "FROM busybox AS other\nRUN mkdir /a && ln -s /nope /loose && ln -s a /up\n"
                              f"FROM busybox\nRUN --mount=from=other,source={source},target=/c true\n")
    assert f"Conductorfile:4: RUN: --mount: there is no '{source}' in 'other'" in said


def test_a_bind_mount_through_links_of_another_stage(conductor):
    build(conductor, "FROM busybox AS other\nRUN mkdir /a && echo there > /a/file && ln -s a /up && ln -s /up/file /link\n"
                     "FROM busybox\nRUN --mount=from=other,source=/up,target=/c cat /c/file > /one\n"
                     "RUN --mount=from=other,source=/link,target=/c cat /c > /two\n")
    assert inside(conductor, "cat", "/one", "/two") == "there\nthere\n"


def test_links_made_by_a_step_lead_its_cleaning_nowhere(conductor):
    """The places of mounts are taken out of the layer again: never through a link that the step has put in their way."""
    canary = conductor.directory / "canary"
    canary.mkdir()
    (canary / "point").mkdir()
    (canary / "empty").write_text("")
    build(conductor, "FROM busybox\n"
                     f"RUN --mount=type=tmpfs,target=/way/point --mount=type=tmpfs,target=/way/empty mv /way /moved && ln -s {canary} /way\n")
    assert sorted(p.name for p in canary.iterdir()) == ["empty", "point"]


# ---- the cache says why


@pytest.fixture
def project(conductor):
    return context(conductor, {
        "Conductorfile": "FROM busybox\nARG VERSION=1\nENV MODE=fast\nRUN echo $VERSION > /v\nCOPY app /opt\nRUN true\n",
        **{f"app/f{n}": str(n) for n in range(20)}})


def test_why_a_first_build_makes_all(conductor, project):
    assert set(why(conductor, project).values()) == {"not made before"}
    assert why(conductor, project) == {}


def test_why_a_file_changed(conductor, project):
    steps(conductor, project)
    (project / "app/f17").write_text("changed")
    assert why(conductor, project) == {"COPY app /opt": "app/f17 changed", "RUN true": "the parent changed"}
    (project / "app/f3").chmod(0o700)
    assert why(conductor, project)["COPY app /opt"] == "app/f3 changed"
    (project / "app/new").write_text("")
    assert why(conductor, project)["COPY app /opt"] == "app/new is new"
    (project / "app/new").unlink()
    assert why(conductor, project) == {}, "the state before is still in the cache"
    (project / "app/f1").write_text("x")
    (project / "app/f2").write_text("x")
    assert why(conductor, project)["COPY app /opt"] == "app/f1 and 1 other changed"


def test_why_an_argument_a_variable_an_instruction(conductor, project):
    steps(conductor, project)
    reasons = why(conductor, project, "--build-arg", "VERSION=2")
    assert reasons["RUN echo $VERSION > /v"] == "ARG VERSION is 2, was 1"
    text = (project / "Conductorfile").read_text()
    (project / "Conductorfile").write_text(text.replace("MODE=fast", "MODE=slow"))
    assert why(conductor, project, "--build-arg", "VERSION=2")["RUN echo $VERSION > /v"] == "ENV MODE is slow, was fast"
    (project / "Conductorfile").write_text(text.replace("MODE=fast", "MODE=slow").replace("RUN true", "RUN true # new"))
    assert why(conductor, project, "--build-arg", "VERSION=2") == {"RUN true # new": "the instruction changed"}


def test_why_after_a_failure(conductor, project):
    text = (project / "Conductorfile").read_text()
    steps(conductor, project)
    (project / "app/f1").write_text("new")
    (project / "Conductorfile").write_text(text.replace("RUN true", "RUN false"))
    conductor.fails("build", "web", project / "Conductorfile")
    (project / "Conductorfile").write_text(text)
    assert why(conductor, project) == {"RUN true": "the parent changed"}


def test_the_index_never_hides_a_change(conductor, project):
    """Same size, same time of modification: the time of change tells."""
    steps(conductor, project)
    file = project / "app/f5"
    before = file.stat()
    wait_until(lambda: os.stat(project).st_ctime_ns < __import__("time").time_ns() - 100_000_000, 5, "the clock moved on")
    steps(conductor, project)  # now the index knows all
    file.write_text("X")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert why(conductor, project)["COPY app /opt"] == "app/f5 changed"


def test_a_warm_look_reads_no_file(conductor, project):
    import time
    steps(conductor, project)
    wait_until(lambda: (project / "app/f1").stat().st_ctime_ns < time.time_ns() - 100_000_000, 5, "the clock moved on")
    steps(conductor, project)
    traced = conductor.directory / "trace"
    subprocess.run(["strace", "-f", "-o", str(traced), "-e", "trace=openat,openat2,read", *conductor.command("build", "web", project / "Conductorfile")],
                   check=True, capture_output=True, env=conductor.environment_under_strace())
    assert '"f17"' not in traced.read_text()


def test_a_damaged_index_costs_time_only(conductor, project):
    steps(conductor, project)
    for file in (conductor.root / "build").iterdir():
        file.write_bytes(b"conductor index 1 of 96 bytes\n\n\n" + b"\xff" * 95)
    assert why(conductor, project) == {}


def test_what_does_not_matter_does_not_miss(conductor, project):
    steps(conductor, project)
    conductor.run("build", "web", project / "Conductorfile", "--build-arg", "HTTP_PROXY=http://proxy:1")
    assert why(conductor, project, "--build-arg", "HTTP_PROXY=http://proxy:2") == {}


def test_arguments_that_nobody_takes_are_told(conductor, project):
    said = conductor.run("build", "web", project / "Conductorfile", "--build-arg", "VERSOIN=2").stderr
    assert "--build-arg VERSOIN: no ARG of" in said and "did you mean 'VERSION'?" in said


def test_a_copy_from_a_stage_with_the_same_outcome_is_a_hit(conductor):
    recipe = "FROM busybox AS make\nARG N\nRUN echo same > /out && touch -d @5 /out\nFROM busybox\nCOPY --from=make /out /out\n"
    top = context(conductor, {"Conductorfile": recipe})
    steps(conductor, top, "--build-arg", "N=1")
    reasons = why(conductor, top, "--build-arg", "N=2")
    assert list(reasons) == ["RUN echo same > /out && touch -d @5 /out"]


# ---- reproducible


def test_the_epoch_gives_the_same_image_twice(conductor):
    recipe = "FROM scratch\nCOPY d /d\nCOPY sh /bin/sh\nWORKDIR /w/x\nCOPY <<EOF /e\ntext\nEOF\nRUN echo x > /made; mkdir -p /m/n; ln -s x /l\n"
    busybox = next(p for p in (conductor.program.parent / "share/busybox", "/bin/busybox") if os.path.exists(p))
    files = {"d/a": "1", "d/s/b": "2", "sh": lambda p: (p.write_bytes(open(busybox, "rb").read()), p.chmod(0o755))}
    ids = []
    for number in range(2):
        for top, _, names in os.walk(context(conductor, {**files, "Conductorfile": recipe})):
            for name in names:
                os.utime(os.path.join(top, name), (2000000000 + number, 2000000000 + number))
        conductor.ok("build", f"web{number}", conductor.directory / "context/Conductorfile", "--no-cache", env={"SOURCE_DATE_EPOCH": "1234567890"})
        ids.append(image(conductor, f"web{number}:latest"))
        conductor.ok("rmi", f"web{number}") if number == 0 else None
    assert ids[0]["layers"] == ids[1]["layers"]
    assert ids[0]["id"] == ids[1]["id"]
    assert ids[0]["created"] == "2009-02-13T23:31:30Z"
    newest = subprocess.run(["find", conductor.root / "layers", "-path", "*/diff/*", "-newermt", "@1234567890"], capture_output=True, text=True)
    assert newest.stdout == ""


def test_a_strange_epoch_is_wrong_usage(conductor):
    top = context(conductor, {"Conductorfile": "FROM busybox\n"})
    conductor.fails("build", "web", top / "Conductorfile", status=2, env={"SOURCE_DATE_EPOCH": "yesterday"})


# ---- the rest


def test_the_build_files_own_ignore_file_comes_first(conductor):
    build(conductor, "FROM busybox\nCOPY . /x\n", {".dockerignore": "a\n", "Conductorfile.dockerignore": "b\nCon*\n.dock*\n", "a": "", "b": ""})
    assert inside(conductor, "ls", "-A", "/x") == "a\n"


def test_patterns_in_variables(conductor):
    build(conductor, "FROM busybox\nENV FILE=src/app.tar.gz\nENV NAME=${FILE##*/} BASE=${FILE%%.*} DASHED=${FILE//[/]/-} LAST=${FILE/.gz/.xz}\n")
    env = inside(conductor, "env").splitlines()
    assert {"NAME=app.tar.gz", "BASE=src/app", "LAST=src/app.tar.xz"} <= set(env)


def test_the_history_says_what_was_done(conductor):
    build(conductor, "FROM busybox\nENV A=1\nRUN true\nCOPY <<EOF /x\ny\nEOF\n")
    stored = json.loads((conductor.root / "images/id" / image(conductor)["id"]).read_text())
    history = json.loads(stored["configuration"])["history"]
    assert [(h["created_by"].split(" ")[0], h.get("empty_layer", False)) for h in history[1:]] == [
        ("ENV", True), ("RUN", False), ("COPY", False)]


def test_a_list_that_is_no_list_is_told(conductor):
    top = context(conductor, {"Conductorfile": "FROM busybox\nCMD ['a']\n"})
    said = conductor.run("build", "web", top / "Conductorfile").stderr
    assert "Conductorfile:2: CMD: the list is no JSON, so a shell gets it" in said


# ---- what stops it

@pytest.mark.parametrize("written, kept, number", [("sigusr1", "SIGUSR1", 10), ("RTMIN+3", "SIGRTMIN+3", 37),
                                                   ("SIGRTMAX-1", "SIGRTMAX-1", 63), ("12", "12", 12)])
def test_a_stop_signal_is_kept_and_sent(conductor, written, kept, number):
    build(conductor, f"FROM busybox\nSTOPSIGNAL {written}\n")
    assert conductor.json("inspect", "web:latest")["configuration"]["config"]["StopSignal"] == kept
    conductor.ok("run", "-d", "web", "one", "--", "sh", "-c", f"trap 'exit 5' {number}; echo ready; while :; do sleep 0.01; done")
    wait_until(lambda: "ready" in conductor.ok("logs", "one"), 10, "the trap is set")
    assert "killed" not in conductor.ok("stop", "one", "--keep")
    assert next(c for c in conductor.json("ps", "-a"))["exit_code"] == 5


@pytest.mark.parametrize("wrong", ["RTMINfoo", "RTMIN+40", "0", "99", "SIGNOPE", "RTMAX+1"])
def test_a_stop_signal_that_is_none(conductor, wrong):
    (conductor.directory / "R").write_text(f"FROM busybox\nSTOPSIGNAL {wrong}\n")
    assert f"R:2: STOPSIGNAL: '{wrong}' is no signal" in conductor.fails("build", "web", conductor.directory / "R")


# ---- where it went wrong

@pytest.mark.parametrize("second", ["FROM one\nRUN true\n", "FROM busybox\nCOPY --from=one /x /x\n"])
def test_an_error_in_an_earlier_stage_has_one_line(conductor, second):
    (conductor.directory / "R").write_text("FROM busybox AS one\nRUN false\n" + second)
    said = conductor.fails("build", "web", conductor.directory / "R")
    assert said.count("R:") == 1 and "R:2: RUN false: exit status 1" in said
