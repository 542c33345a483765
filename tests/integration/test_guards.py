"""Each class of attacks twice: against the program as it is, where it must fail, and against one whose guard was taken
out (core/base/guard.h), where it must succeed. So the guard is what stops it, and the test would notice its loss.

An attack has one guard, or several that each stop it alone: then it must succeed only when all of them are out. Attacks
touch nothing but what the test made: canaries in its own directory, in namespaces of its own.

    python3 tests/integration/test_guards.py        prints the table: attack, guards
"""
import base64
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytest
from support import hostile
from support.gate import Gated
from support.lying_registry import LyingRegistry
from support.namespaces import Namespace
from support.oci_image import OCI_MANIFEST, Image, busybox, digest, tar
from support.probe import compile_probe
from support.program import TOP, Conductor, program_path
from support.waiting import wait_until
from test_cp_attacks import Swapper
from test_exchange import write_docker_archive

ATTACKS = []  # of (class, function, guards)

# Loosens by a flag what stands before the guard in question: root inside is then root of the host.
HOST_USERS = ["--userns", "host"]


def attack(what, *guards):
    """A row of the table: function(box) carries the attack out and returns whether it succeeded."""

    def add(function):
        ATTACKS.append((what, function, guards))
        return function

    return add


def unguarded_path():
    return program_path().parent / "unguarded/conductor"


class Box(Conductor):
    """A Conductor with a canary beside its root; `without` are the guards that are out."""

    def __init__(self, without=()):
        super().__init__()
        if without:
            self.program = unguarded_path()
            self.environment["CONDUCTOR_WITHOUT"] = ",".join(without)
        self.canary = self.directory / "canary"
        self.canary.mkdir()
        (self.canary / "secret").write_text("of the host")

    def image(self, lines="", **tree):
        """An image of busybox and these entries: a text is a file, a path in brackets ["/x"] a symlink to it."""
        context = self.directory / "context"
        for name, content in tree.items():
            path = context / "tree" / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(content[0]) if isinstance(content, list) else path.write_text(content)
        (context / "tree/bin").mkdir(parents=True, exist_ok=True)
        (context / "tree/bin/busybox").write_bytes(busybox())
        (context / "tree/bin/busybox").chmod(0o755)
        for applet in ("sh", "cat", "ls", "id", "mount", "mkdir", "rmdir", "readlink", "grep", "mkfifo", "true", "sleep"):
            (context / "tree/bin" / applet).symlink_to("busybox")
        (context / "Conductorfile").write_text(f"FROM scratch\nCOPY tree /\n{lines}\n")
        self.ok("build", "image", context / "Conductorfile")

    def inside(self, *command, options=(), **more):
        """A run whose command may fail; what came of it."""
        return self.run("run", "image", "--rm", *options, "--", *command, **more)

    def canary_is_touched(self):
        return {p.name: p.read_text() for p in self.canary.iterdir() if p.is_file()} != {"secret": "of the host"} or len(
            list(self.canary.iterdir())) != 1


# ---- the root and what is mounted in it

@attack("volume at a link of the image (CVE-2021-30465)", "inside_root")
def volume_lands_outside(box):
    box.image(linked=[str(box.canary)])
    source = box.directory / "source"
    source.mkdir()
    box.inside("true", options=[*HOST_USERS, "-v", f"{source}:/linked/made"])
    return box.canary_is_touched()


@attack("volume at a link that another container makes meanwhile (CVE-2021-30465)", "inside_root")
def volume_lands_outside_in_a_race(box):
    """Two share a volume: in it one of them exchanges a directory and a link to the host, while the other one starts
    with a second volume below."""
    box.image()
    source = box.directory / "source"
    source.mkdir()
    shared = ["-v", "shared:/shared", *HOST_USERS]
    box.ok("run", "image", "web", "-d", *shared, "--", "sleep", "1000")
    box.ok("exec", "web", "--", "sh", "-c", f"mkdir /shared/d /shared/d/e && /bin/busybox ln -s {box.canary} /shared/l")
    with Swapper(box, "/shared/d", "/shared/l") as swapper:
        tries = 0
        while (tries < 20 or swapper.rounds < 10_000) and not box.canary_is_touched():
            tries += 1
            box.inside("true", options=[*shared, "-v", f"{source}:/shared/d/made"])
    return box.canary_is_touched()


@attack("/proc of the image is a link (CVE-2019-19921, CVE-2023-27561)", "plain_places")
def proc_is_led_elsewhere(box):
    box.image(proc=["/elsewhere"], elsewhere__file="")
    return " /elsewhere proc " in box.inside("cat", "/elsewhere/mounts").stdout


@attack("/dev of the image is a link (CVE-2026-41579)", "plain_places")
def dev_is_led_elsewhere(box):
    box.image(dev=["/elsewhere"], elsewhere__file="")
    return " /elsewhere tmpfs " in box.inside("cat", "/proc/mounts").stdout


@attack("masked path through a swapped /dev/null (CVE-2025-31133)", "own_dev")
def masked_path_shows_a_file_of_the_image(box):
    box.image(dev__null=["/evil"], evil="chosen by the image")
    masked = next(p for p in ("/proc/keys", "/proc/timer_list", "/proc/kcore") if os.path.isfile(p))
    return "chosen by the image" in box.inside("cat", masked).stdout


@attack("device node of an image", "inert_nodes")
def device_node_opens(box):
    box.image()
    layer = next(p.parent.parent for p in box.root.rglob("bin/busybox"))
    os.mknod(layer / "node", 0o666 | 0o020000, os.makedev(1, 3))  # null, which no device rule forbids
    return box.inside("sh", "-c", "echo x > /node").returncode == 0


@attack("cgroup tree can be written (CVE-2023-25809)", "read_only_groups")
def cgroup_is_made_inside(box):
    box.image()
    return box.inside("sh", "-c", "mkdir /sys/fs/cgroup/x && rmdir /sys/fs/cgroup/x", options=HOST_USERS).returncode == 0


@attack("cgroup tree mounted anew for its release_agent (CVE-2022-0492)", "call_filter", "few_capabilities")
def cgroup_is_mounted_inside(box):
    box.image()
    return box.inside("sh", "-c", "mkdir /c && mount -t cgroup2 c /c").returncode == 0


# ---- the process that becomes the command

@attack("descriptor as working directory of run (CVE-2024-21626)", "plain_workdir", "reachable_workdir")
def run_stands_outside(box):
    box.image()
    return any("of the host" in box.inside("cat", "../canary/secret", options=[*HOST_USERS, "-w", f"/proc/self/fd/{n}"]).stdout
               for n in range(3, 10))


@attack("descriptor as working directory of exec (CVE-2024-21626)", "plain_workdir", "reachable_workdir")
def exec_stands_outside(box):
    box.image()
    box.ok("run", "image", "one", "-d", *HOST_USERS, "--", "sleep", "1000")
    return any("of the host" in box.run("exec", "one", "-w", f"/proc/self/fd/{n}", "--", "cat", "../canary/secret").stdout
               for n in range(3, 10))


def seen_of_who_joins(box, look):
    """What a process inside sees of another that joins and stands before its execve."""
    box.image()
    box.ok("run", "image", "one", "-d", *HOST_USERS, "--", "sleep", "1000")
    seen = []

    def decide(call):
        if call["name"] == "execve":
            seen.append(box.run("exec", "one", "--", "sh", "-c", f"for p in /proc/[0-9]*; do {look}; done").stdout)
        return "go"

    assert Gated(box, "exec", "one", "--", "true").drive(decide)[0] == 0
    return seen[0]


@attack("exec joins with descriptors of the host (CVE-2016-9962)", "hidden_entry")
def descriptors_are_seen(box):
    return re.search(r" -> .*(cgroup|/ct-)", seen_of_who_joins(box, "ls -l $p/fd")) is not None


@attack("our program through /proc/PID/exe (CVE-2019-5736)", "hidden_entry", "protected_program")
def our_program_is_found(box):
    return str(box.program.resolve()) in seen_of_who_joins(box, "readlink $p/exe")


# As the loader of our program it is the first to run in there, when the command is #!/proc/self/exe.
LOADER = r"""
#include <fcntl.h>
#include <sys/syscall.h>

static long call(long number, const void* a, const void* b, const void* c)
{
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

void _start(void)
{
  long fd = call(SYS_open, "/proc/self/exe", (void*)O_RDONLY, 0);
  call(SYS_dup2, (void*)fd, (void*)9, 0);
  const char* arguments[] = {"sh", "/thief", 0};
  const char* environment[] = {"PATH=/bin", 0};
  call(SYS_execve, "/bin/sh", arguments, environment);
  call(SYS_exit, 0, 0, 0);
}
"""

# Who holds the descriptor lives on; what it opens in the end is written nothing into.
THIEF = """
while [ ! -e /go ]; do sleep 0.1; done > /dev/null 2>&1 < /dev/null &&
  { ( : >> /proc/self/fd/9 ) 2> /said && echo opened > /said; mv /said /done; } > /dev/null 2>&1 < /dev/null &
"""


@attack("our program by a kept descriptor, for writing (CVE-2019-5736)", "protected_program")
def our_program_can_be_written(box):
    """The program that joins is another copy than the keeper's, as after an upgrade: once it has ended nobody runs it,
    and the kernel's ETXTBSY is no guard any more."""
    source, tree = box.directory / "loader.c", box.directory / "context/tree"
    source.write_text(LOADER)
    segments = subprocess.run(["readelf", "-lW", box.program], capture_output=True, text=True, check=True).stdout
    loader = tree / re.search(r"interpreter: /(\S+)]", segments)[1]
    loader.parent.mkdir(parents=True)
    subprocess.run(["gcc", "-nostdlib", "-static-pie", "-fPIE", "-fno-stack-protector", "-O1", "-o", loader, source], check=True)
    box.image(evil="#!/proc/self/exe\n", thief=THIEF)
    (tree / "evil").chmod(0o755)
    box.ok("build", "image", box.directory / "context/Conductorfile")
    box.ok("run", "image", "one", "-d", *HOST_USERS, "--", "sleep", "1000")
    upgraded = box.directory / "upgraded/conductor"
    upgraded.parent.mkdir()
    shutil.copy(box.program, upgraded)
    keepers, box.program = box.program, upgraded
    box.ok("exec", "one", "--", "/evil")
    box.program = keepers
    box.ok("exec", "one", "--", "sh", "-c", ": > /go")
    said = []

    def done():
        answer = box.run("exec", "one", "--", "cat", "/done")
        said.append(answer.stdout)
        return answer.returncode == 0

    wait_until(done, 20)
    assert said[-1] == "opened\n" or "Read-only file system" in said[-1], said[-1]
    return said[-1] == "opened\n"


@attack("user named as a number (CVE-2016-3697)", "numbers_first")
def name_counts_before_number(box):
    box.image(etc__passwd="1000:x:7:7::/:\n")
    return box.inside("id", "-u", options=["-u", "1000"]).stdout == "7\n"


@attack("odd user ids (CVE-2026-30892)", "strict_numbers")
def odd_number_is_root(box):
    box.image()
    return box.inside("id", "-u", options=["-u", "4294967296"]).stdout == "0\n"


@attack("inheritable capabilities (CVE-2022-24769)", "no_inheritable")
def capabilities_are_inheritable(box):
    box.image()
    return int(re.search(r"CapInh:\t(\w+)", box.inside("cat", "/proc/self/status").stdout)[1], 16) != 0


@attack("AF_VSOCK, AF_ALG (CVE-2026-31431)", "call_filter")
def odd_sockets_open(box):
    box.image()
    compile_probe(box.directory / "context/tree")
    box.ok("build", "image", box.directory / "context/Conductorfile")
    return "socket-vsock ok" in box.inside("/probe").stdout


@attack("programs of the 32-bit interface", "call_filter")
def old_programs_run(box):
    box.image()
    compile_probe(box.directory / "context/tree")
    box.ok("build", "image", box.directory / "context/Conductorfile")
    return "it ran" in box.inside("/probe", "old-architecture").stdout


@attack("/etc/passwd is huge (CVE-2024-9676)", "bounded_files")
def huge_passwd_is_read(box):
    box.image(etc__passwd="x:x:1:1::/:\n" * 500_000 + "web:x:33:33::/:\n")
    return box.inside("cat", "/proc/self/status", options=["-u", "web"]).returncode == 0


@attack("/etc/passwd is a FIFO (CVE-2024-9676)", "regular_files")
def fifo_as_passwd_blocks(box):
    box.image("RUN mkfifo /etc/passwd", etc__group="")
    verb = box.start("run", "image", "--rm", "-u", "web", "--", "true")
    blocked = []

    def in_open(pid):
        try:
            return Path(f"/proc/{pid}/syscall").read_text().split()[0] == "437"  # openat2
        except (OSError, IndexError):
            return False

    def decided():
        blocked.extend(pid for pid in children_of(verb.pid) if in_open(pid))
        return blocked or verb.poll() is not None

    wait_until(decided, 20)
    if blocked:
        os.kill(blocked[0], 9)
    verb.communicate(timeout=30)
    return bool(blocked)


def children_of(pid):
    try:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return found + [grandchild for child in found for grandchild in children_of(child)]


@attack("/etc/passwd is a link into /proc", "inside_root", "regular_files")
def passwd_is_a_link(box):
    box.image(etc__passwd=["/proc/self/fd/0"])
    return box.inside("id", "-u", options=[*HOST_USERS, "-u", "web"], input="web:x:33:33::/:\n").stdout == "33\n"


@attack("environment of the host in RUN (CVE-2021-3602, CVE-2024-11218)", "clean_environment")
def environment_leaks(box):
    box.environment["SECRET_OF_THE_HOST"] = "1"
    box.image('RUN ["/bin/busybox", "sh", "-c", "/bin/busybox env > /seen"]')
    return "SECRET_OF_THE_HOST" in box.inside("cat", "/seen").stdout


# ---- copies

@attack("file of the host through a link that changes meanwhile (CVE-2018-15664)", "copies_inside")
def file_of_the_host_is_copied_out(box):
    """The container's file of the same name, and a link in its place, from one moment to the next."""
    box.image()
    box.ok("run", "image", "web", "-d", "--", "sleep", "1000")
    place = box.canary.parent
    box.ok("exec", "web", "--", "sh", "-c",
           f"mkdir -p {place} {box.canary} && echo inside > {box.canary}/secret && /bin/busybox ln -s {box.canary} {place}/link")
    seen = set()
    with Swapper(box, str(box.canary), f"{place}/link") as swapper:
        tries = 0
        while tries < 20 or swapper.rounds < 10_000:
            tries += 1
            box.run("cp", f"web:{box.canary}/secret", box.directory / "out")
            if (box.directory / "out").is_file():
                seen.add((box.directory / "out").read_text())
    return "of the host" in seen


# ---- archives

def loaded(box, name):
    """Whether a layer of the hostile corpus is taken."""
    layer, _ = hostile.corpus(str(box.canary).lstrip("/").encode())[name]
    file = box.directory / "image.tar"
    write_docker_archive(file, "evil", [layer])
    return box.run("load", file).returncode == 0


@attack("archive entry that climbs out", "entry_names", "beneath_layer")
def climbing_entry_is_written(box):
    loaded(box, "dot dot")
    return box.canary_is_touched()


@attack("archive entry with an absolute name", "entry_names", "beneath_layer")
def absolute_entry_is_written(box):
    loaded(box, "absolute")
    return box.canary_is_touched()


@attack("archive entry through a link of the archive", "beneath_layer")
def entry_is_written_through_a_link(box):
    loaded(box, "through a symlink")
    return box.canary_is_touched()


@attack("archive entry that climbs out, by a pax header", "entry_names", "beneath_layer")
def entry_climbs_by_pax(box):
    loaded(box, "dot dot by pax")
    return box.canary_is_touched()


@attack("archive entry with an absolute name, by a pax header", "entry_names", "beneath_layer")
def absolute_entry_by_pax(box):
    loaded(box, "absolute by pax")
    return box.canary_is_touched()


@attack("archive entry that climbs out, by a GNU long name", "entry_names", "beneath_layer")
def entry_climbs_by_long_name(box):
    name = b"../" * 12 + bytes(box.canary)[1:] + b"/f\0"
    long_name = hostile.header(b"././@LongLink", b"L", size=len(name), magic=b"ustar  \0") + hostile.padded(name)
    write_docker_archive(box.directory / "image.tar", "evil", [long_name + hostile.file(b"a") + hostile.END])
    box.run("load", box.directory / "image.tar")
    return box.canary_is_touched()


@attack("hard link of an archive to a file of the host", "entry_names", "beneath_layer")
def file_is_linked_from_outside(box):
    return is_linked(box, hostile.hard_link(b"h", b"../" * 12 + bytes(box.canary)[1:] + b"/secret"))


@attack("hard link of an archive through a link of it", "beneath_layer")
def file_is_linked_through_a_link(box):
    return is_linked(box, hostile.symlink(b"l", bytes(box.canary)) + hostile.hard_link(b"h", b"l/secret"))


def is_linked(box, layer):
    """Loads it; whether the file of the canary got another name, by which a container could write it."""
    links = []

    def decide(call):
        links.append((box.canary / "secret").stat().st_nlink)
        return "go"

    write_docker_archive(box.directory / "image.tar", "evil", [layer + hostile.END])
    Gated(box, "load", box.directory / "image.tar").drive(decide)
    return max(links) > 1


@attack("whiteout through a link of the archive", "beneath_layer")
def whiteout_is_made_outside(box):
    loaded(box, "whiteout through a symlink")
    return box.canary_is_touched()


@attack("opaque mark through a link of the archive", "beneath_layer")
def opaque_mark_is_made_outside(box):
    loaded(box, "opaque through a symlink")
    return os.listxattr(box.canary) != []


@attack("archive entry over a link of the same name", "fresh_files")
def entry_is_written_through_what_it_replaces(box):
    loaded(box, "file written over a symlink")
    return box.canary_is_touched()


@attack("archive entry over a hard link to a link", "fresh_files")
def entry_is_written_through_a_second_name(box):
    loaded(box, "hard link to a symlink, then written")
    return box.canary_is_touched()


@attack("sparse archive entry", "whole_files")
def sparse_entry_is_taken(box):
    return loaded(box, "sparse, pax")


@attack("archive entry whose name steers the terminal", "visible_text", "shown_text")
def entry_steers_the_terminal(box):
    write_docker_archive(box.directory / "image.tar", "evil", [hostile.header(b"\x1b]0;pwned\x07", b"4", major=8) + hostile.END])
    return "\x1b]0;pwned" in box.run("load", box.directory / "image.tar").stderr


@attack("archive entry that steers overlayfs", "own_attributes")
def attributes_of_overlayfs_are_taken(box):
    return loaded(box, "overlay's own attributes")


@attack("archive entry of a negative size", "known_sizes")
def negative_size_is_taken(box):
    return loaded(box, "negative size")


@attack("layer that fills the disk (CVE-2017-14992)", "disk_reserve")
def disk_is_filled(box):
    box.root.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "none", box.root], check=True)
    try:
        (box.directory / "big.tar").write_bytes(hostile.file(b"big", os.urandom(62 << 20)) + hostile.END)
        return box.run("import", box.directory / "big.tar", "big").returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(box.root)], check=True)


# ---- registries

class Liar:
    """An image `web` of one layer at a registry, to be changed before it is pulled."""

    def __init__(self, layer=None):
        self.registry, self.elsewhere = LyingRegistry(), LyingRegistry()
        self.image = Image([layer or tar({"a": "1"})], packing="")
        self.registry.serve(self.image, "web")
        self.blob = f"/v2/web/blobs/{self.image.layers[0]['digest']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.registry.close()
        self.elsewhere.close()

    def document_is_changed(self):
        self.registry.serve_manifest("web", json.dumps(self.image.document).encode(), OCI_MANIFEST)

    def is_pulled(self, box, *options, name="web", **more):
        return box.run("pull", f"{self.registry.host}/{name}", *options, **more).returncode == 0


@attack("other bytes than the digest names", "checked_digests", "checked_content")
def other_bytes_are_taken(box):
    with Liar() as liar:
        liar.registry.at(liar.blob, body=tar({"a": "2"}))
        return liar.is_pulled(box)


@attack("another manifest than the digest names (CVE-2021-41190)", "checked_digests")
def other_manifest_is_taken(box):
    with Liar() as liar:
        wanted = digest(b"something else")
        liar.registry.at(f"/v2/web/manifests/{wanted}", body=liar.image.manifest, headers={"Content-Type": OCI_MANIFEST})
        return liar.is_pulled(box, name=f"web@{wanted}")


@attack("../ in a digest (CVE-2024-3727)", "plain_digests")
def digest_leads_elsewhere(box):
    with Liar() as liar:
        liar.image.document["layers"][0]["digest"] = "sha256:../../../elsewhere"
        liar.document_is_changed()
        liar.is_pulled(box)
        return any("elsewhere" in request["path"] for request in liar.registry.seen)


@attack("password to where a redirect leads (CVE-2020-15157)", "own_password")
def password_goes_elsewhere(box):
    secret = base64.b64encode(b"user:secret").decode()
    with Liar() as liar:
        file = box.directory / "auth.json"
        file.write_text(json.dumps({"auths": {liar.registry.host: {"auth": secret}}}))
        honest = liar.registry.answers["/v2/web/manifests/latest"]

        def wants_password(request):
            if request.headers.get("Authorization") == f"Basic {secret}":
                return honest(request)
            return liar.registry.reply(request, status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

        liar.registry.at("/v2/web/manifests/latest", wants_password)
        liar.registry.at(liar.blob, status=307, headers={"Location": f"http://{liar.elsewhere.host}/x"})
        liar.elsewhere.at("/x", body=liar.image.blobs[liar.image.layers[0]["digest"]])
        assert liar.is_pulled(box, env={"REGISTRY_AUTH_FILE": str(file)})
        return liar.elsewhere.authorizations() != []


@attack("layer that grows beyond its limit (CVE-2017-14992)", "bomb_limit")
def bomb_is_unpacked(box):
    with Liar() as liar:
        plain = tar({"zeros": bytes(64 << 20)})
        packed = gzip.compress(plain, 6)
        liar.image = Image([plain], packing="gzip")
        assert len(packed) < 1 << 20
        liar.registry.serve(liar.image, "web")
        return liar.is_pulled(box, "--limit", "32M")


# ---- what is reached, and what is shown

@attack("abstract sockets of the host (CVE-2020-15257)", "own_network")
def abstract_socket_is_reached(box):
    box.image()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0of the host")
        return "@of the host" in box.inside("cat", "/proc/net/unix", options=HOST_USERS).stdout


def neighbour(box, *options):
    """A container on the host's network: its namespace and its link on the host's side."""
    box.image()
    box.ok("run", "image", "one", "-d", "--", "sleep", "1000")
    box.ok("addnetwork", "one", *options)
    one = next(c for c in box.json("ps") if c["name"] == "one")
    return Namespace.of_process(one["pid"], "one"), one["networks"][0]


def knock(space):
    """Comes back when the host has answered, and so has seen all that was sent before."""
    with space.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        try:
            client.connect((gateway_of(space), 9))
        except ConnectionRefusedError:
            pass


@attack("router advertisement of a container (CVE-2020-13401)", "no_advertisements", "no_forged_packets")
def advertisement_is_taken(box):
    space, link = neighbour(box)
    host = Namespace.own()
    try:
        host.write(f"net/ipv6/conf/{link['host_interface']}/forwarding", "0")
        space.ip("address add fe80::7/64 dev eth0 nodad")
        inside = space.do(lambda: socket.if_nametoindex("eth0"))
        with space.socket(socket.AF_INET6, socket.SOCK_RAW, 58) as advertiser:
            advertiser.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            advertiser.bind(("fe80::7", 0, 0, inside))
            advertiser.sendto(bytes([134, 0, 0, 0, 64, 0, 7, 8]) + bytes(8), ("ff02::1", 0, 0, inside))
        knock(space)
        return "default via fe80::7" in subprocess.run(["ip", "-6", "route"], capture_output=True, text=True, check=True).stdout
    finally:
        space.close()
        host.close()


def gateway_of(space, family="-4"):
    return re.search(r"default via (\S+)", space.run("ip", family, "route"))[1]


@attack("packets with another's address", "no_forged_packets")
def forged_packet_arrives(box):
    """By IPv6: of IPv4 the kernel's rp_filter, which we set on the link, takes none either."""
    space, _ = neighbour(box)
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
            server.bind(("::", 0))
            server.settimeout(10)
            space.ip("address add fd00:99::1/128 dev eth0 nodad")
            target = (gateway_of(space, "-6"), server.getsockname()[1])
            for source, word in (("fd00:99::1", b"forged"), (None, b"honest")):  # the second arrives in any case
                with space.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
                    if source:
                        sender.bind((source, 0))
                    sender.sendto(word, target)
            return server.recv(100) == b"forged"
    finally:
        space.close()


@attack("loopback of the host through us (CVE-2020-8558)", "closed_loopback")
def loopback_is_reached(box):
    space, _ = neighbour(box, "-e", "80-8080")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.99", 0))
            server.settimeout(2)
            gateway = gateway_of(space)
            space.write("net/ipv4/conf/all/route_localnet", "1")
            space.ip("route del table local 127.0.0.0/8 dev lo", f"route add 127.0.0.99/32 via {gateway} dev eth0 onlink")
            with space.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"hello", ("127.0.0.99", server.getsockname()[1]))
            knock(space)
            server.setblocking(False)
            try:
                return server.recv(100) == b"hello"
            except BlockingIOError:
                return False
    finally:
        space.close()


@attack("escape sequences in what a registry says", "visible_text", "shown_text")
def registry_steers_the_terminal(box):
    with Liar() as liar:
        body = b'{"errors": [{"code": "X", "message": "\\u001b]0;pwned\\u0007"}]}'
        liar.registry.at("/v2/web/manifests/latest", status=400, body=body)
        return "\x1b]0;pwned" in box.run("pull", f"{liar.registry.host}/web").stderr


@attack("escape sequences in a command that ps shows", "shown_text")
def command_steers_the_terminal(box):
    box.image()
    box.ok("create", "image", "one", "--", "sh", "-c", "\x1b]0;pwned\x07")
    return "\x1b]0;pwned" in box.ok("ps", "-a")


# ---- the tests

def identity(row):
    return row[1].__name__


def outcome(function, without):
    box = Box(without)
    try:
        return function(box)
    finally:
        box.close()


@pytest.mark.parametrize("row", ATTACKS, ids=identity)
def test_attack_fails_against_the_program(row):
    assert outcome(row[1], ()) is False, row[0]


@pytest.mark.parametrize("row", ATTACKS, ids=identity)
def test_attack_succeeds_without_its_guards(row):
    what, function, guards = row
    assert outcome(function, guards) is True, f"{what}: something else than {guards} stops it"


@pytest.mark.parametrize("row", [row for row in ATTACKS if len(row[2]) > 1], ids=identity)
def test_each_of_several_guards_stops_the_attack_alone(row):
    what, function, guards = row
    for out in guards:
        assert outcome(function, (out,)) is False, f"{what}: {set(guards) - {out}} does not stop it without {out}"


def test_every_guard_stops_something():
    declared = set(re.findall(r'constexpr Guard (\w+)\{"\1"\};', (TOP / "core/base/guard.h").read_text()))
    assert len(declared) > 20
    assert declared == {guard for _, _, guards in ATTACKS for guard in guards}


@pytest.mark.parametrize("name", ["conductor", "conductor-images", "conductor-console"])
def test_shipped_programs_do_not_have_the_switch(name):
    switch = b"CONDUCTOR_WITHOUT"
    assert switch not in (program_path().parent / name).read_bytes()
    assert switch in unguarded_path().read_bytes()


if __name__ == "__main__":
    for what, _, guards in ATTACKS:
        print(f"{what:66} {' and '.join(guards)}")
