"""The same build file and the same context through docker (BuildKit) and through us: the file trees (modes, owners, links,
hard links, attributes, times of what is copied) and the image configurations must be the same.

Docker here is Debian's, started by this test with directories of its own and no network, and asked over its socket, since
its command line wants a plug-in for BuildKit. What that version does not know yet (here-documents, --exclude, --parents,
checksums, patterns in variables) is tested in test_build_features.py.
"""
import http.client
import io
import json
import os
import socket
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest
from support import dockerd, trees
from support.program import program_path

# Not a skip, which would be a failure with CI=true: docker is no part of what the tests need, since installing it starts a
# daemon that changes the host's firewall.
pytestmark = pytest.mark.xfail(not dockerd.is_installed(), run=False,
                               reason="DOCKER IS NOT INSTALLED: nothing was compared with it (apt-get install docker.io)")

# What BuildKit or a container of it adds to a tree, and what names only the moment.
IGNORED_CONFIG = {"Image", "Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin",
                  "StdinOnce", "ArgsEscaped"}


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Docker:
    def __init__(self):
        self.daemon = dockerd.Dockerd()
        self.path = self.daemon.socket.removeprefix("unix://")

    def ask(self, method, path, body=None, kind="application/json"):
        connection = Connection(self.path)
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def import_tree(self, name, tree, changes):
        packed = subprocess.run(["tar", "-C", str(tree), "-c", "."], capture_output=True, check=True).stdout
        words = [word for change in changes for word in ("--change", change)]
        self.daemon.run("import", *words, "-", name, input=packed)

    def build(self, context, arguments, buildkit=True, target=""):
        """The image's id, or the sentence of a failure."""
        packed = io.BytesIO()

        def root_owned(entry):
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            for name, value in trees.attributes(os.path.join(context, entry.name)).items() if not entry.issym() else ():
                entry.pax_headers[f"SCHILY.xattr.{name}"] = bytes.fromhex(value).decode("latin-1")
            return entry

        with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=1) as tar:
            tar.add(context, arcname=".", filter=root_owned)
        if not buildkit:
            built = self.daemon.run("build", "--network=none", "-t", "compared", str(context), check=False,
                                    env={**os.environ, "DOCKER_BUILDKIT": "0"})
            return None if built.returncode == 0 else built.stderr.decode()
        path = f"/build?version=2&networkmode=none&t=compared&buildargs={quote(json.dumps(arguments))}&target={target}"
        status, text = self.ask("POST", path, packed.getvalue(), "application/x-tar")
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        failed = [line["error"] for line in lines if "error" in line]
        return None if not failed and status == 200 else " ".join(failed) or text.decode()

    def inspect(self):
        return json.loads(self.ask("GET", "/images/compared/json")[1])

    def layers(self):
        """The directories of the image's layers, base first."""
        data = self.inspect()["GraphDriver"]["Data"]
        return [d for d in reversed(data.get("LowerDir", "").split(":")) if d] + [data["UpperDir"]]


@pytest.fixture(scope="module")
def docker():
    daemon = Docker()
    yield daemon
    daemon.daemon.close()


def write(top, files):
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif callable(content):
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def layers_of(conductor, image):
    return [str(conductor.root / "layers" / layer / "diff") for layer in image["layers"]]


def our_image(conductor, name="web:latest"):
    return next(i for i in conductor.json("images") if i["name"] == name)


def configuration(conductor, image):
    stored = json.loads((conductor.root / "images/id" / image["id"]).read_text())
    return json.loads(stored["configuration"])


def plain(config):
    """A configuration without what is empty: null, "", [] and {} mean the same."""
    return {key: value for key, value in config.items() if value not in (None, "", [], {}, False) and key not in IGNORED_CONFIG}


def give_docker_our_busybox(conductor, docker):
    conductor.busybox_image("base")
    docker.import_tree("busybox", layers_of(conductor, our_image(conductor, "base:latest"))[0],
                       ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 'CMD ["sh"]'])


def compare(conductor, docker, recipe, files=None, arguments=None, times=False, buildkit=True, target=""):
    context = conductor.directory / "context"
    context.mkdir(exist_ok=True)
    write(context, {"Dockerfile": recipe, **(files or {})})
    give_docker_our_busybox(conductor, docker)
    options = [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
    options += ["--target", target] if target else []
    failed = docker.build(str(context), arguments or {}, buildkit, target)
    assert failed is None, failed
    conductor.ok("build", "web", context / "Dockerfile", "--network", "none", *options)
    image = our_image(conductor)
    ours, theirs = trees.merged(layers_of(conductor, image), times), trees.merged(docker.layers(), times)
    assert trees.differences(ours, theirs) == []
    inspected = docker.inspect()
    assert plain(configuration(conductor, image).get("config", {})) == plain(inspected["Config"])
    assert configuration(conductor, image).get("author", "") == inspected["Author"]


def executable(path):
    places = (program_path().parent / "share/busybox", Path("/bin/busybox"))
    path.write_bytes(next(place for place in places if place.exists()).read_bytes())
    path.chmod(0o755)


def with_mode(mode, content="x"):
    def make(path):
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_text(content)
        path.chmod(mode)
    return make


def link(target):
    return lambda path: path.symlink_to(target)


def archive(mode, suffix=""):
    def make(path):
        with tarfile.open(path, mode) as tar:
            for name, kind, mode_, uid, content in (
                    ("top", tarfile.DIRTYPE, 0o750, 7, b""), ("top/file", tarfile.REGTYPE, 0o4711, 33, b"content"),
                    ("top/link", tarfile.SYMTYPE, 0o777, 5, "file"), ("top/hard", tarfile.LNKTYPE, 0o4711, 33, "top/file"),
                    ("etc/made", tarfile.REGTYPE, 0o600, 0, b"made")):
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode, entry.uid, entry.gid, entry.mtime = kind, mode_, uid, uid + 1, 1234567890
                if isinstance(content, str):
                    entry.linkname = content
                    tar.addfile(entry)
                else:
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    return make


TREE = {
    "d/file": with_mode(0o640), "d/tool": with_mode(0o4755), "d/empty": with_mode(0o711, None), "d/sub/deep": "deep",
    "d/link": link("file"), "d/nowhere": link("/no/where"), "d/.hidden": "h",
    "d/hard": lambda p: os.link(p.parent / "file", p),
    "d/marked": lambda p: (p.write_text("m"), os.setxattr(p, "user.mark", b"1")),
    "one": "1", "two": "2", "a b": "blank",
}

COPIES = {
    "file to a name": "COPY one /etc/first",
    "file into a directory": "COPY one /etc/\nCOPY two /etc",
    "file into a new directory": "COPY one /new/deep/",
    "several": "COPY one two d /in/",
    "directory to a new one": "COPY d /new",
    "directory into one that is there": "COPY d /etc",
    "directory over directories of other modes": "RUN mkdir -m 700 -p /x/empty /x/sub && chown 5:6 /x/sub\nCOPY d /x",
    "the whole context": "COPY . /all",
    "the root": "COPY d /",
    "wildcards": "COPY o* t?o /w/\nCOPY d/.h* d/[a-f]ile /v/",
    "a wildcard of directories": "COPY d/[efhlmst]* /w/",
    "a link that is named": "COPY d/link /etc/l\nCOPY d/link /w/",
    "dots": "COPY ./d/../one .//x/./\n",
    "json": 'COPY ["a b", "one", "/j son/"]',
    "variables": 'ENV WHAT=one DIR="/x y"\nCOPY ${WHAT} $DIR/\nCOPY ["$WHAT", "${DIR}/second"]',
    "relative to the working directory": "WORKDIR /srv/app\nCOPY one .\nCOPY two sub/\nWORKDIR down\nCOPY one ../up",
    "chown by number": "COPY --chown=12:34 d /x\nCOPY --chown=55 one /new/deep/",
    "chown by name": "COPY --chown=www-data:daemon d /x\nCOPY --chown=www-data one /y\nCOPY --chown=8:daemon one /z",
    "chmod": "RUN mkdir /x\nCOPY --chmod=705 d/sub d/empty one /x/\nCOPY --chmod=0400 one /etc/",
    "a file replaces a link": "RUN ln -s /etc/passwd /l\nCOPY one /l",
    "a file replaces a file": "RUN echo before > /f && chmod 700 /f && chown 3:4 /f\nCOPY one /f",
    "onto a directory by a link": "RUN mkdir /real && ln -s real /l\nCOPY one /l/\nCOPY d /l",
    "from a stage": "RUN mkdir /o && echo x > /o/f && chown 33:44 /o/f && chmod 751 /o && ln -s f /o/l && ln /o/f /o/h\n"
                    "FROM busybox\nCOPY --from=0 /o /got\nCOPY --from=0 /o/f /f\nCOPY --from=0 --chown=1:2 o/f /g",
    "from an image": "COPY --from=busybox /etc/passwd /bin/sh /from/",
}


@pytest.mark.parametrize("case", COPIES, ids=lambda case: case.replace(" ", "-"))
def test_copy(conductor, docker, case):
    compare(conductor, docker, f"FROM busybox\n{COPIES[case]}\n", TREE, times="RUN" not in COPIES[case])


ADDS = {
    "a file": "ADD one /etc/\nADD d /x",
    "an archive": "ADD plain.tar /x",
    "gzip": "ADD some.tgz /x/",
    "bzip2": "ADD some.bz2 /x/",
    "xz": "ADD some.xz /",
    "the owner": "ADD --chown=1:2 some.tgz /x",
    "over what is there": "RUN mkdir -m 700 /x && echo old > /x/top && rm /x/top\nADD plain.tar /x",
    "packed but no archive": "ADD text.gz /x/",
    "several": "ADD plain.tar one /x/",
    "copied not unpacked": "COPY plain.tar /x/",
}


@pytest.mark.parametrize("case", ADDS, ids=lambda case: case.replace(" ", "-"))
def test_add(conductor, docker, case):
    import gzip
    compare(conductor, docker, f"FROM busybox\n{ADDS[case]}\n", {
        **TREE, "plain.tar": archive("w"), "some.tgz": archive("w:gz"), "some.bz2": archive("w:bz2"), "some.xz": archive("w:xz"),
        "text.gz": gzip.compress(b"only a text", mtime=0)})


CONFIGURATIONS = {
    "env": 'ENV A=1 B="two words" C=three\\ words D=$A E=${A:-x}${Z:+no}${Z:-def}\nENV OLD the old form $A\nENV A=2 F=$A',
    "label": 'LABEL a=1 b="x y" "c d"=\'$A\'\nLABEL multi="line one\\\n two"\nENV A=1\nLABEL e=$A "f$A"="g"',
    "cmd": 'CMD ["a", "b c"]',
    "cmd of the shell": "CMD echo $HOME && true",
    "cmd that is no json": "CMD ['a', 'b']",
    "empty cmd": "CMD []",
    "entrypoint clears the base's cmd": 'ENTRYPOINT ["x"]',
    "entrypoint and cmd": 'CMD ["b"]\nENTRYPOINT exec a',
    "shell": 'SHELL ["/bin/sh", "-ec"]\nCMD x y\nENTRYPOINT z',
    "expose": "ENV P=90 Q='91 92/udp'\nEXPOSE 80 443/tcp 53/udp $P $Q 8000-8003",
    "volume": 'VOLUME /a /b\nVOLUME ["/c d", "/e"]\nENV V=/f\nVOLUME $V',
    "user": "ENV U=www-data\nUSER $U\nUSER ${U}:daemon",
    "workdir": "WORKDIR /a\nWORKDIR b/../c\nENV W=d\nWORKDIR $W/e\nRUN pwd > /pwd",
    "stopsignal": "STOPSIGNAL SIGUSR1",
    "stopsignal number": "STOPSIGNAL 9",
    "healthcheck": 'HEALTHCHECK --interval=1m30s --timeout=5s --start-period=100ms --retries=4 CMD curl -f http://localhost/ || exit 1',
    "healthcheck list": 'HEALTHCHECK CMD ["a", "b"]',
    "healthcheck none": "HEALTHCHECK CMD x\nHEALTHCHECK NONE",
    "onbuild": 'ONBUILD COPY . /app\nONBUILD RUN echo $HOME\nONBUILD ENV A="b c"',
    "maintainer": "MAINTAINER Somebody <some@body>",
    "arg": "ARG A=1\nARG B=${A}2\nENV FROM_ARG=$A$B\nRUN echo $A $B > /args\nENV A=3\nRUN echo $A > /env",
    "comments and continuations": "RUN echo one \\\n# in between\n\n  && echo two \\\n && \\\n echo three > /f # kept",
    "an escaped escape": "ENV A=x\\\\\nENV B='$A' C=\"\\$A\" D=\\$A",
    "special names": "ENV A=x$1y B=a$.b C=\\'q D=\"it's\"",
    "nothing": "",
}


@pytest.mark.parametrize("case", CONFIGURATIONS, ids=lambda case: case.replace(" ", "-"))
def test_configuration(conductor, docker, case):
    compare(conductor, docker, f"FROM busybox\n{CONFIGURATIONS[case]}\n")


def test_escape_is_a_backtick(conductor, docker):
    compare(conductor, docker, "# escape=`\nFROM busybox\nENV A=`$B C=\"a`\"b\"\nRUN echo one `\n && echo C:\\ > /f\n")


def test_arguments_of_the_command_line(conductor, docker):
    compare(conductor, docker, "ARG BASE=nothing\nARG V=1\nFROM $BASE\nARG V\nARG W=w\nARG TARGETARCH\nARG X\n"
                               "ENV V=$V W=$W T=$TARGETARCH X=${X:-unset}\n", arguments={"BASE": "busybox", "W": "given"})


def test_stages(conductor, docker):
    compare(conductor, docker, "FROM busybox AS One\nENV A=1\nCMD [\"one\"]\nWORKDIR /one\nRUN echo 1 > f\n"
                               "FROM no/such:image AS unused\nRUN false\n"
                               "FROM one AS two\nENTRYPOINT [\"e\"]\nRUN echo 2 > g\n"
                               "FROM two\nCOPY --from=ONE /one/f /copied\nRUN false\n", target="two")


def test_from_scratch(conductor, docker):
    compare(conductor, docker, "FROM scratch\nCOPY sh /bin/sh\nLABEL a=b\nCMD [\"/bin/sh\"]\n", {"sh": executable})


def test_onbuild_runs_in_the_next_build(conductor, docker):
    context = conductor.directory / "context"
    context.mkdir()
    first = "FROM busybox\nONBUILD ENV A=1\nONBUILD COPY one /one\nONBUILD RUN echo $A > /ran\n"
    write(context, {"Dockerfile": first, "one": "1"})
    give_docker_our_busybox(conductor, docker)
    assert docker.build(str(context), {}) is None
    docker.daemon.run("tag", "compared", "triggers")
    conductor.ok("build", "triggers", context / "Dockerfile")
    compare(conductor, docker, "FROM triggers\nENV B=$A\n", {"one": "1"})


def test_run_of_several_kinds(conductor, docker):
    compare(conductor, docker, "FROM busybox\nRUN echo shell > /a; ln -s a /b; mkdir -m 1777 /c; mkfifo /d; rm -r /var/www /etc/nsswitch.conf\n"
                               "RUN [\"/bin/sh\", \"-c\", \"echo exec > /e\"]\nUSER www-data\nRUN id -u > /tmp/who 2>/tmp/x; id -g >> /tmp/who\n"
                               "USER root\nRUN mv /etc/group /etc/moved && mkdir /etc/group && chown -R 5 /etc/moved\n")


MOUNTS = "RUN --mount=type=bind,target=/ctx,rw --mount=type=tmpfs,target=/t --mount=type=cache,target=/cache,id={id} " \
         "ls -1 /ctx > /list && touch /ctx/new /t/x /cache/y && stat -c '%a %u' /cache /ctx/one >> /list\n"


def test_run_with_mounts(conductor, docker):
    # BuildKit leaves the places of its mounts behind, and this version of it knows no better; they are made here for both.
    compare(conductor, docker, "FROM busybox\nRUN mkdir -p /ctx /t /cache /b\n" + MOUNTS.format(id=os.getpid()) +
            "RUN touch /bf\nRUN --mount=target=/bf,source=one cat /bf > /c\n"
            "RUN --mount=type=bind,from=busybox,source=/etc,target=/b cp /b/passwd /p\n",
            {"one": "1", "Dockerfile.extra": ""})


def test_an_ignore_file(conductor, docker):
    # The client filters; the one that is here speaks to the classic builder only.
    compare(conductor, docker, "FROM busybox\nCOPY . /all\n", {
        ".dockerignore": "# comment\n*.log\n!keep.log\n**/*.tmp\nbuild\n!build/out/kept\n/top\n**/cache/**\nx?\n",
        "a": "", "b.log": "", "keep.log": "", "s/b.log": "", "s/a.tmp": "", "a.tmp": "", "build/x": "", "build/out/kept": "",
        "build/out/not": "", "top/x": "", "s/top": "", "cache/x": "", "s/cache/y/z": "", "x1": "", "x22": ""}, buildkit=False)


REFUSED = {
    "unknown instruction": "FROM busybox\nRUNN x\n",
    "no from": "ENV A=1\n",
    "missing file": "FROM busybox\nCOPY missing /x\n",
    "unknown flag": "FROM busybox\nCOPY --chwon=1 one /x\n",
    "no destination": "FROM busybox\nCOPY one\n",
    "failing command": "FROM busybox\nRUN exit 3\n",
    "bad mount": "FROM busybox\nRUN --mount=type=nothing,target=/x true\n",
    "variable without end": "FROM busybox\nENV A=${B\n",
    "onbuild from": "FROM busybox\nONBUILD FROM x\n",
    "env without value": "FROM busybox\nENV A\n",
    "duplicate flag": "FROM busybox\nCOPY --chown=1 --chown=2 one /x\n",
    "bad healthcheck": "FROM busybox\nHEALTHCHECK --interval=x CMD y\n",
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "-"))
def test_what_docker_refuses_we_refuse(conductor, docker, case):
    context = conductor.directory / "context"
    context.mkdir()
    write(context, {"Dockerfile": REFUSED[case], "one": "1"})
    give_docker_our_busybox(conductor, docker)
    assert docker.build(str(context), {}) is not None
    conductor.fails("build", "web", context / "Dockerfile", "--network", "none")


# ---- exchange: what we save docker reads, and the other way round

RECIPE = """FROM busybox
RUN echo hi > /x && mkdir /w && touch /w/a && ln /x /hard
RUN rm -r /x /w && mkdir /w && touch /w/b
LABEL k=v
CMD ["sh", "-c", "cat /hard; ls /w"]
"""
SHOWN = "hi\nb\n"


@pytest.fixture
def daemon():
    running = dockerd.Dockerd()
    yield running
    running.close()


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_docker_reads_what_we_save_and_we_what_it_saves(conductor, daemon, form):
    top = conductor.directory
    (top / "R").write_text(RECIPE)
    conductor.ok("build", "web", top / "R")
    conductor.ok("save", "web", "-o", top / "ours.tar", "--format", form)
    daemon.run("load", "-i", str(top / "ours.tar"))
    ours = json.loads(conductor.ok("inspect", "web:latest"))
    assert daemon.run("inspect", "--format", "{{.Id}}", "web:latest").stdout.decode().strip() == f"sha256:{ours['id']}"
    assert daemon.run("run", "--rm", "--network", "none", "web").stdout.decode() == SHOWN
    daemon.run("tag", "web", "reg.example:5000/team/web:2")
    daemon.run("save", "web", "reg.example:5000/team/web:2", "-o", str(top / "docker.tar"))
    conductor.ok("rmi", "web")
    conductor.ok("prune", "--force")
    names = [line.split()[0] for line in conductor.ok("load", top / "docker.tar").splitlines()]
    assert names == ["web:latest", "reg.example:5000/team/web:2"]
    back = json.loads(conductor.ok("inspect", "web:latest"))
    assert back["id"] == ours["id"]
    assert [layer["diff_id"] for layer in back["layers"]] == [layer["diff_id"] for layer in ours["layers"]]
    assert conductor.ok("run", "--rm", "web") == SHOWN


def test_root_trees_come_and_go(conductor, daemon):
    top = conductor.directory
    (top / "R").write_text(RECIPE)
    conductor.ok("build", "web", top / "R")
    conductor.ok("export", "web", "-o", top / "ours.tar")
    daemon.run("import", str(top / "ours.tar"), "tree")
    assert daemon.run("run", "--rm", "--network", "none", "tree", "cat", "/hard").stdout == b"hi\n"
    container = daemon.run("create", "--network", "none", "tree", "true").stdout.decode().strip()
    daemon.run("export", container, "-o", str(top / "docker.tar"))
    conductor.ok("import", top / "docker.tar", "again")
    assert conductor.ok("run", "--rm", "again", "--", "cat", "/hard") == "hi\n"
