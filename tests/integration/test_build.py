"""From a build file to an image: what each instruction does, what the image then holds, and what is refused."""
import os
import shutil
import socket
import stat
import subprocess
import threading
import time

import pytest
from support.waiting import wait_until


def context(conductor, files):
    """A directory with these files; a text, bytes, None for a directory, or a function that makes something there."""
    top = conductor.directory / "context"
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif callable(content):
            content(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
    return top


def build(conductor, recipe, files=None, *options, name="web"):
    top = context(conductor, {"Conductorfile": recipe, **(files or {})})
    return conductor.ok("build", name, top / "Conductorfile", *options)


def refused(conductor, recipe, files=None, *options):
    top = context(conductor, {"Conductorfile": recipe, **(files or {})})
    return conductor.fails("build", "web", top / "Conductorfile", *options)


def inside(conductor, *command, image="web"):
    """What a command prints in a fresh container of the image."""
    return conductor.ok("run", "--rm", image, "--", *command)


def image(conductor, name="web:latest"):
    return next(i for i in conductor.json("images") if i["name"] == name)


# ---- the seeds' mistakes


def test_run_changes_replaces_and_deletes_what_the_base_has(conductor):
    build(conductor, "FROM busybox\n"
                     "RUN echo first > /etc/motd && echo keep >> /etc/group\n"
                     "RUN echo second > /etc/motd && rm /etc/nsswitch.conf && rm -r /var/www && mkdir /var/www\n")
    assert inside(conductor, "cat", "/etc/motd") == "second\n"
    assert inside(conductor, "tail", "-n1", "/etc/group") == "keep\n"
    assert inside(conductor, "sh", "-c", "test -e /etc/nsswitch.conf || echo gone") == "gone\n"
    assert inside(conductor, "ls", "/var/www") == ""


@pytest.mark.parametrize("change", [
    pytest.param(lambda top: (top / "d/f").write_text("other"), id="content"),
    pytest.param(lambda top: (top / "d/f").chmod(0o755), id="mode"),
    pytest.param(lambda top: ((top / "d/l").unlink(), (top / "d/l").symlink_to("g")), id="link target"),
    pytest.param(lambda top: (top / "d/e").rmdir(), id="empty directory"),
    pytest.param(lambda top: (top / "d/f").rename(top / "d/h"), id="name"),
    pytest.param(lambda top: (top / "R").write_text("FROM busybox\nRUN true\nCOPY d /y\n"), id="destination"),
    pytest.param(lambda top: (top / "R").write_text("FROM busybox\nRUN echo new > /n\nCOPY d /x\n"), id="earlier step"),
    pytest.param(lambda top: (top / "R").write_text("FROM busybox\nRUN true\nCOPY --chown=7 d /x\n"), id="owner"),
])
def test_a_change_misses_the_cache(conductor, change):
    top = context(conductor, {"R": "FROM busybox\nRUN true\nCOPY d /x\n", "d/f": "one", "d/e": None,
                              "d/l": lambda path: path.symlink_to("f")})
    conductor.ok("build", "web", top / "R")
    before = image(conductor)["layers"]
    change(top)
    conductor.ok("build", "web", top / "R")
    assert image(conductor)["layers"] != before  # the last may be the same: a layer is known by its content


def test_the_same_again_is_all_cached(conductor):
    files = {"d/f": "one", "d/e": None}
    build(conductor, "FROM busybox\nCOPY d /x\nRUN date +%N > /when\n", files)
    first = image(conductor)
    when = inside(conductor, "cat", "/when")
    os.utime(conductor.directory / "context/d/f", (1, 1))  # a fresh check-out has other times
    build(conductor, "# a comment\nFROM busybox\nCOPY d /x\nRUN date +%N > /when\n", files)
    assert image(conductor)["id"] == first["id"]
    assert inside(conductor, "cat", "/when") == when


def test_no_cache_makes_all_anew_and_later_steps_stand_on_it(conductor):
    build(conductor, "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /a\n", name="one")
    build(conductor, "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /a\nRUN cp /a /b\n", name="two")
    build(conductor, "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /a\n", None, "--no-cache", name="one")
    build(conductor, "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /a\nRUN cp /a /b\n", name="two")
    a = inside(conductor, "cat", "/a", image="two")
    assert a == inside(conductor, "cat", "/a", image="one")
    assert a == inside(conductor, "cat", "/b", image="two")


def test_a_failed_run_is_no_cache_hit(conductor):
    recipe = "FROM busybox\nRUN echo half > /half; exit 3\n"
    for _ in range(2):
        assert "Conductorfile:2: RUN echo half > /half; exit 3: exit status 3" in refused(conductor, recipe)
    assert conductor.json("images") == []
    assert list((conductor.root / "tmp").iterdir()) == []


def test_run_has_an_empty_standard_input(conductor):
    build(conductor, "FROM busybox\nRUN cat > /read\nRUN echo after > /after\n")
    assert inside(conductor, "cat", "/read") == ""
    assert inside(conductor, "cat", "/after") == "after\n"


@pytest.mark.parametrize("options,step,reached", [([], "RUN", False), (["--network", "host"], "RUN", True),
                                                  (["--network", "none"], "RUN", False), ([], "RUN --network=none", False)],
                         ids=["default", "host", "none", "none in the file"])
def test_run_reaches_the_hosts_abstract_sockets_as_readme_says(conductor, options, step, reached):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0conductor-test")
        listener.listen()
        build(conductor, f"FROM busybox\n{step} grep -c @conductor-test /proc/net/unix > /seen; true\n", None, *options)
    assert inside(conductor, "cat", "/seen") == ("1\n" if reached else "0\n")


def test_run_is_a_container_of_its_own(conductor):
    build(conductor, "FROM busybox\nRUN (sleep 1000 &) ; ps > /ps; hostname > /name; readlink /proc/self/ns/mnt > /ns\n")
    processes = inside(conductor, "cat", "/ps").splitlines()
    assert len(processes) <= 5, "the host's processes are not in sight"
    assert inside(conductor, "cat", "/ns").strip() != os.readlink("/proc/self/ns/mnt")
    assert not [line for line in conductor.leftovers() if "sleep" in line], "what RUN started is gone with it"


def test_a_step_that_cannot_start_names_no_option_that_build_lacks(conductor):
    said = refused(conductor, "FROM busybox\nUSER 70000\nRUN true\n")
    assert "hint: a container has the ids 0 to 65535\n" in said and "--userns" not in said
    conductor.busybox_image("box")
    assert "run --userns host has all of them" in conductor.fails("run", "box", "-u", "70000", "--", "true", status=125)


def test_run_sees_nothing_of_the_hosts_environment(conductor):
    top = context(conductor, {"Conductorfile": "FROM busybox\nENV A=1\nRUN env | sort > /env\n"})
    conductor.ok("build", "web", top / "Conductorfile", env={"SECRET_OF_THE_HOST": "1"})
    names = {line.split("=")[0] for line in inside(conductor, "cat", "/env").splitlines()}
    assert names <= {"A", "HOME", "HOSTNAME", "PATH", "PWD", "SHLVL"}


# ---- instructions


def test_copy_keeps_modes_links_times_and_gives_all_to_root(conductor):
    build(conductor, "FROM busybox\nCOPY d /opt/d\nRUN stat -c '%n %a %u:%g' /opt/d /opt/d/run /opt/d/e > /stat; readlink /opt/d/l >> /stat\n",
          {"d/run": lambda p: (p.write_text("x"), p.chmod(0o4750), os.chown(p, 1234, 1234), p.chmod(0o4750)),
           "d/e": None, "d/l": lambda p: p.symlink_to("/nowhere/at/all")})
    assert inside(conductor, "cat", "/stat").splitlines() == [
        "/opt/d 755 0:0", "/opt/d/run 4750 0:0", "/opt/d/e 755 0:0", "/nowhere/at/all"]


def test_copy_of_several_into_a_directory(conductor):
    build(conductor, "FROM busybox\nWORKDIR /app\nCOPY a b* sub ./in/\nCOPY a /tmp\n", {"a": "a", "b1": "1", "b2": "2", "sub/s": "s"})
    assert inside(conductor, "ls", "/app/in").split() == ["a", "b1", "b2", "s"]
    assert inside(conductor, "ls", "/tmp").split() == ["a"]
    assert inside(conductor, "stat", "-c", "%a", "/tmp") == "1777\n", "a directory that is there stays as it is"


def test_copy_chown_and_chmod(conductor):
    build(conductor, "FROM busybox\nCOPY --chown=www-data:5 --chmod=640 a /a\n", {"a": "a"})
    assert inside(conductor, "stat", "-c", "%u:%g %a", "/a") == "33:5 640\n"


def test_copy_chmod_by_symbols_keeps_what_it_does_not_name(conductor):
    top = context(conductor, {"Conductorfile": "FROM busybox\nCOPY --chmod=u=rwX,go=rX d /d\n", "d/file": "", "d/program": ""})
    (top / "d/file").chmod(0o600)
    (top / "d/program").chmod(0o711)
    conductor.ok("build", "web", top / "Conductorfile")
    assert inside(conductor, "stat", "-c", "%a", "/d/file", "/d/program") == "644\n755\n"


def test_copy_leaves_out_what_an_ignore_file_names(conductor):
    build(conductor, "FROM busybox\nCOPY . /all\n", {".dockerignore": "*.log\n.dockerignore\nConductorfile\n", "a": "", "b.log": ""})
    assert inside(conductor, "ls", "-A", "/all") == "a\n"


def test_copy_into_directories_that_are_links_stays_in_the_image(conductor):
    canary = conductor.directory / "canary"
    canary.mkdir()
    build(conductor, f"FROM busybox\nRUN ln -s {canary} /out && ln -s ../../../../..{canary} /up && ln -s /usr/bin /tools\n"
                     "COPY a /out/\nCOPY a /up/\nCOPY a /tools/\n", {"a": "a"})
    assert list(canary.iterdir()) == []
    assert inside(conductor, "cat", "/usr/bin/a") == "a"


def test_env_workdir_user_and_command_hold_in_run_and_container(conductor):
    build(conductor, "FROM busybox\n"
                     "ENV BASE=/srv NAME=\"two words\"\n"
                     "ENV OLD form of it\n"
                     "WORKDIR $BASE/${SUB:-app}\n"
                     "RUN pwd > where; id -u > user; echo \"$NAME\" > name\n"
                     "RUN chown -R www-data .\n"
                     "USER www-data\n"
                     "RUN id -u > user\n"
                     "LABEL a.b=\"c $BASE\"\n"
                     "ENTRYPOINT [\"sh\", \"-c\"]\n"
                     "CMD [\"cat where user name; echo $OLD\"]\n")
    assert conductor.ok("run", "--rm", "web") == "/srv/app\n33\ntwo words\nform of it\n"


def test_arguments_of_the_build(conductor):
    recipe = "ARG BASE=busybox\nFROM $BASE\nARG WHO=nobody\nRUN echo $WHO > /who\n"
    build(conductor, recipe)
    assert inside(conductor, "cat", "/who") == "nobody\n"
    build(conductor, recipe, None, "--build-arg", "WHO=me")
    assert inside(conductor, "cat", "/who") == "me\n"
    assert inside(conductor, "sh", "-c", "echo ${WHO-unset}") == "unset\n", "an argument is not in the image's environment"


def test_stages(conductor):
    build(conductor, "FROM busybox AS maker\nRUN mkdir /out && echo made > /out/file\n"
                     "FROM busybox AS final\nCOPY --from=maker /out /got\n"
                     "FROM final\nRUN echo never > /never\n", None, "--target", "final")
    assert inside(conductor, "cat", "/got/file") == "made\n"
    assert inside(conductor, "sh", "-c", "test -e /never || echo no") == "no\n"


def test_from_scratch(conductor):
    build(conductor, "FROM scratch\nCOPY busybox /bin/sh\nCMD [\"/bin/sh\", \"-c\", \"echo alone\"]\n",
          {"busybox": lambda p: (p.write_bytes(busybox_program().read_bytes()), p.chmod(0o755))})
    assert conductor.ok("run", "--rm", "web") == "alone\n"
    assert len(image(conductor)["layers"]) == 1


def busybox_program():
    from support.program import program_path
    from pathlib import Path
    return next(p for p in (program_path().parent / "share/busybox", Path("/bin/busybox")) if p.exists())


def test_from_a_local_image(conductor):
    build(conductor, "FROM busybox\nENV A=1\nRUN echo one > /one\n", name="team/one:5")
    build(conductor, "FROM team/one:5\nRUN echo $A > /two\n")
    assert inside(conductor, "cat", "/one", "/two") == "one\n1\n"


def test_a_hundred_layers(conductor):
    build(conductor, "FROM busybox\nCOPY a /a\n" + "".join(f"WORKDIR /d{n}\n" for n in range(98)) + "RUN ls -d /d[0-9]* | wc -l > /count\n", {"a": "a"})
    assert len(image(conductor)["layers"]) == 101
    assert inside(conductor, "cat", "/count") == "98\n"


def test_the_file_is_found_by_its_usual_names(conductor):
    top = context(conductor, {"Dockerfile": "FROM busybox\nENV FROM_FILE=docker\n"})
    conductor.ok("build", "web", cwd=top)
    assert "docker" in inside(conductor, "env")
    context(conductor, {"Conductorfile": "FROM busybox\nENV FROM_FILE=ours\n"})
    conductor.ok("build", "web", cwd=top)
    assert "ours" in inside(conductor, "env")


def test_a_build_file_may_come_from_stdin(conductor):
    conductor.ok("build", "web", "-", input="FROM busybox\nRUN echo piped > /f\n")
    assert inside(conductor, "cat", "/f") == "piped\n"
    said = conductor.fails("build", "web", "-", input="FROM busybox\nCOPY a /a\n")
    assert "stdin:2: COPY: this build has no context" in said and "hint: give one: --context DIR" in said
    top = context(conductor, {"a": "from the context", "b": "", ".dockerignore": "b\n"})
    conductor.ok("build", "web", "-", "--context", top, input="FROM busybox\nCOPY . /all\n")
    assert inside(conductor, "ls", "/all") == "a\n"
    assert "stdin: there is no FROM" in conductor.fails("build", "web", "-")


def test_without_a_file_the_default_base_is_made(conductor):
    config = conductor.directory / "config.json"
    config.write_text('{"default_base": "busybox"}')
    empty = context(conductor, {"empty": None}) / "empty"
    conductor.ok("--config", config, "build", "web", cwd=empty)
    assert image(conductor)["base"] == "busybox:latest"


# ---- two at once, and killed


def test_two_builds_at_once_share_the_work(conductor):
    top = context(conductor, {"Conductorfile": "FROM busybox\nRUN sleep 0.3; cat /proc/sys/kernel/random/uuid > /id\n"})
    threads = [threading.Thread(target=conductor.run, args=("build", name, top / "Conductorfile")) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert image(conductor, "one:latest")["layers"] == image(conductor, "two:latest")["layers"]


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_killed_build_leaves_nothing_that_the_next_does_not_clean(conductor, signal):
    import signal as signals
    top = context(conductor, {"Conductorfile": "FROM busybox\nRUN echo begun; sleep 1000\n"})
    with conductor.start("build", "web", top / "Conductorfile", stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            if line.strip().endswith("| begun"):
                break
        process.send_signal(getattr(signals, signal))
        process.communicate(timeout=20)
        assert process.returncode != 0
    assert conductor.json("images") == []
    build(conductor, "FROM busybox\nRUN echo next > /next\n")
    assert [p.name for p in (conductor.root / "tmp").iterdir()] == []
    assert conductor.leftovers() == []


# ---- refused


@pytest.mark.parametrize("recipe, says", [
    ("FROM busybox\n\nRUNN true\n", "Conductorfile:3: unknown instruction 'RUNN'"),
    ("FROM busybox\nRUNN true\n", "hint: did you mean 'RUN'?"),
    ("FROM busybox\nCOPY missing /x\n", "Conductorfile:2: COPY: there is no 'missing' in the context"),
    ("FROM busybox\nCOPY ../../etc/passwd /x\n", "Conductorfile:2: COPY: '../../etc/passwd' leaves the context"),
    ("FROM busybox\nADD https://example.com/a.git /a\n", "Conductorfile:2: ADD: 'https://example.com/a.git' is a git repository"),
    ("FROM busybox\nRUN --mount=type=ssh true\n", "Conductorfile:2: RUN: --mount=type=ssh: type=ssh is not possible"),
    ("FROM --platform=linux/riscv64 busybox\n", "Conductorfile:1: FROM: --platform=linux/riscv64 is another than this machine's"),
    ("FROM busybox\nCOPY --from=later /a /a\nFROM busybox AS later\nFROM 0\n", "Conductorfile:2: COPY: the stage 'later' stands further down"),
    ("RUN true\n", "Conductorfile:1: RUN stands before the first FROM"),
    ("FROM debian:bokworm\n", "Conductorfile:1: there is no image 'debian:bokworm' here"),
    ("FROM debian:bokworm\n", "hint: did you mean 'bookworm'?"),
    ("FROM nosuch/image:1\n", "Conductorfile:1: there is no image 'nosuch/image:1' here"),
    ("FROM nosuch/image:1\n", "pull docker.io/nosuch/image:1: ask registry-1.docker.io: its name is not known"),
    ("FROM busybox\nRUN [\"/no/such\"]\n", "Conductorfile:2:"),
    ("FROM busybox\nUSER nobodyknows\nRUN true\n", "Conductorfile:3:"),
    ("FROM busybox\nRUN sh -c 'kill -9 $$'; exit $?\n", "Conductorfile:2: RUN sh -c 'kill -9 $$'; exit $?: exit status 137"),
    ("", "Conductorfile: there is no FROM"),
])
def test_what_is_wrong_is_said_with_file_and_line(conductor, recipe, says):
    assert says in refused(conductor, recipe, {"a": "a"})


def test_a_wrong_value_is_found_before_any_step_is_run(conductor):
    assert "Conductorfile:3: EXPOSE: 'a' is no port" in refused(conductor, "FROM busybox\nRUN true\nEXPOSE a\n")
    assert conductor.json("df")["objects"] == []


@pytest.mark.parametrize("name", ["../x", "x" * 300, "", "a b", "\x1b[31mred", "Web", "id:0123456789ab"])
def test_bad_names_are_wrong_usage(conductor, name):
    top = context(conductor, {"Conductorfile": "FROM busybox\n"})
    said = conductor.fails("build", name, top / "Conductorfile", status=2)
    assert "\x1b" not in said


def test_a_missing_build_file(conductor):
    assert "No such file" in conductor.fails("build", "web", conductor.directory / "nothing")


def test_sockets_and_devices_are_not_copied(conductor):
    assert "is a device" in refused(conductor, "FROM busybox\nCOPY d /d\n",
                                    {"d/null": lambda p: os.mknod(p, stat.S_IFCHR | 0o600, os.makedev(1, 3))})


def test_a_link_out_of_the_context_gives_nothing_of_the_host(conductor):
    secret = conductor.directory / "secret"
    secret.write_text("secret")
    assert "Conductorfile:2: COPY" in refused(conductor, "FROM busybox\nCOPY l /l\n", {"l": lambda p: p.symlink_to(secret)})


def test_another_busybox_of_the_same_size_and_time_is_another_base(conductor):
    """What it hashes to is remembered, by what only the kernel sets too."""
    programs = conductor.directory / "programs"
    programs.mkdir()
    for name in ("conductor", "conductor-images"):
        shutil.copy2(conductor.program.parent / name, programs / name)
    busybox = programs / "share/busybox"
    busybox.parent.mkdir()
    shutil.copy2(next(p for p in (conductor.program.parent / "share/busybox", "/bin/busybox") if os.path.exists(p)), busybox)
    conductor.program = programs / "conductor"
    wait_until(lambda: time.time() - busybox.stat().st_ctime > 0.1, 10, "the file is no longer fresh")
    for _ in range(3):
        build(conductor, "FROM busybox\nWORKDIR /w\n")
    assert list(conductor.root.glob("build/busybox-*"))
    before, times = image(conductor)["layers"], busybox.stat()
    with open(busybox, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    os.utime(busybox, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert busybox.stat().st_mtime_ns == times.st_mtime_ns
    build(conductor, "FROM busybox\nWORKDIR /w\n")
    assert image(conductor)["layers"][0] != before[0]


# ---- a COPY that needs no mount


# A world with something of every kind in two layers; all of it is older than the epoch of the test.
LOWER = ("FROM busybox\n"
         "RUN mkdir -p /d/deep/er /gone/sub /hidden/sub /owned && echo low > /d/f && echo low > /d/deep/f && ln -s f /d/l"
         " && ln -s d /way && ln -s nowhere /d/dangling && ln -s deep /d/to-deep && mkfifo /d/p && echo x > /hidden/f"
         " && chown 5:6 /owned /d/deep && chmod 2751 /d/deep && chmod 1777 /owned\n"
         "RUN rm -r /gone && mkdir -p /hidden.new/a && rm -r /hidden && mv /hidden.new /hidden && echo two > /d/deep/two"
         " && touch -d @1000000 /d/deep/er && touch -d @1000001 /d/deep && touch -d @1000002 /d && touch -d @1000003 / \n")


def tree_of_context(path):
    path.mkdir()
    (path / "f").write_text("new")
    (path / "deep/er").mkdir(parents=True)
    (path / "deep/er/g").write_text("g" * 70000)
    os.link(path / "f", path / "deep/twin")
    (path / "l").symlink_to("elsewhere")
    os.mkfifo(path / "pipe")
    (path / "empty").mkdir(mode=0o700)
    os.setxattr(path / "f", "user.colour", b"red")
    os.chmod(path / "f", 0o4755)


COPIES = [
    pytest.param("tree /new", id="a new directory"),
    pytest.param("tree /new/", id="an open end"),
    pytest.param("tree /a/b/c", id="new directories on the way"),
    pytest.param("tree /d", id="over a directory of two layers"),
    pytest.param("tree/deep /d/deep/er", id="below directories with facts of their own"),
    pytest.param("tree/f /d/deep/er/f", id="one file below old directories"),
    pytest.param("tree/f /d/f", id="in place of a file"),
    pytest.param("tree/l /d/f", id="through a link of the context"),
    pytest.param("tree/f tree/deep/twin /d/deep/", id="several files"),
    pytest.param("--parents tree/f /owned/", id="parents"),
    pytest.param("tree/f /d/p", id="in place of a fifo"),
    pytest.param("tree /gone", id="where something was deleted"),
    pytest.param("tree /hidden", id="into a directory that hides what was there"),
    pytest.param("tree /owned/x", id="below a sticky directory of somebody"),
    pytest.param("tree /", id="over the root"),
    pytest.param("tree/deep /d/../owned/./y", id="dots"),
    pytest.param("--chmod=640 tree/f /d/deep/h", id="a mode"),
    pytest.param("tree/deep tree/empty /x/", id="two directories into one"),
    pytest.param("tree/deep/er/g tree/f /x/", id="not in the order of names"),
]


@pytest.mark.parametrize("copy", COPIES)
def test_the_digest_that_a_copy_learns_on_the_way_is_that_of_its_layer(conductor, copy):
    """To save a layer packs it again, and says so when that gives another digest."""
    top = context(conductor, {"tree": tree_of_context, "tree/elsewhere": "linked", "R": LOWER + f"COPY {copy}\n"})
    conductor.ok("build", "web", top / "R")
    conductor.ok("save", "web", "-o", conductor.directory / "web.tar")


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_without_a_mount_makes_the_same_layer(conductor, copy):
    """The owner by number needs no look into the image; by name it does, and the layers are mounted for it."""
    if "tree/l" in copy:
        top = context(conductor, {"tree": tree_of_context, "tree/elsewhere": "linked"})
    else:
        top = context(conductor, {"tree": tree_of_context})
    layers, mounted = [], []
    for owner in ("0:0", "root:root"):
        (top / "R").write_text(LOWER + f"COPY --chown={owner} {copy}\n")
        told = conductor.run("--explain", "build", "web", top / "R", env={"SOURCE_DATE_EPOCH": "1234567890"})
        assert told.returncode == 0, told.stderr
        mounted.append("fsopen(\"overlay\"" in told.stderr.split("COPY", 1)[1] or "mount(\"conductor\"" in told.stderr.split("COPY", 1)[1])
        layers.append(image(conductor)["layers"])
    assert mounted == [False, True]
    assert layers[0] == layers[1]


@pytest.mark.parametrize("copy, there", [
    pytest.param("tree/f /way/f", "/d/f", id="a link on the way"),
    pytest.param("tree/f /d/l", "/d/f", id="a link as the place of a file"),
    pytest.param("tree /d/dangling", "/d/nowhere/f", id="a link that leads nowhere"),
    pytest.param("tree/deep/er /d/to-deep", "/d/deep/g", id="a link to a directory"),
])
def test_a_copy_follows_links_of_the_image(conductor, copy, there):
    top = context(conductor, {"tree": tree_of_context, "R": LOWER + f"COPY {copy}\n"})
    conductor.ok("build", "web", top / "R")
    assert inside(conductor, "head", "-c3", there) in ("new", "ggg")
    assert inside(conductor, "sh", "-c", "test -L /way && test -L /d/l && test -L /d/to-deep && echo links") == "links\n"


@pytest.mark.parametrize("copy, why", [
    pytest.param("tree/f tree/deep /d/f/", "make the directory", id="a file in the way of a directory"),
    pytest.param("tree/deep/er /x/\nCOPY tree/f /x/g/", "make the directory", id="a file of an earlier step"),
])
def test_a_copy_that_does_not_fit_is_refused(conductor, copy, why):
    top = context(conductor, {"tree": tree_of_context, "R": LOWER + f"COPY {copy}\n"})
    assert why in conductor.fails("build", "web", top / "R")
