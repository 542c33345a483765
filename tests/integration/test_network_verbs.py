"""addnetwork, delnetwork, peer, unpeer, networks, run --internet --expose: what a person types, what is reachable then,
and what is left of it."""
import json
import os
import re
import socket
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from support import outside
from support.gate import Gated
from support.outside import ask
from support.program import Conductor
from support.waiting import wait_until


@pytest.fixture
def box(conductor):
    conductor.busybox_image("box")
    return conductor


@pytest.fixture
def far():
    """The network outside of the host."""
    place = outside.Outside()
    yield place
    place.close()


SERVER = ["--", "sh", "-c", "nc -ll -p 80 -e echo I am $HOSTNAME & nc -ll -p 81 -e echo other & while :; do sleep 1000; done"]


def serve(box, name, *options):
    """A container with two servers, whose command ends at once when it is stopped."""
    box.ok("run", "-d", "box", name, *options, *SERVER)


def sh(box, name, command):
    """What a shell in the container prints, with its errors; its exit status is of no interest."""
    done = box.run("exec", name, "--", "sh", "-c", f"exec 2>&1; {command}; true")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def fetch(box, name, address, port=80):
    return sh(box, name, f"timeout 5 nc -w 3 {address} {port} < /dev/null")


def network(box, name):
    """Its element of `networks` in ps, None without a network."""
    found = next(c for c in box.json("ps", "-a") if c["name"] == name)["networks"]
    return found[0] if found else None


def address(box, name):
    return network(box, name)["address"]


def answers(box, name, text, port=80):
    wait_until(lambda: ask(address(box, name), port) == text, 10, f"{name} answers on {port}")


def kernel():
    """What of ours is in the kernel: links and the table's text."""
    links = [line.split(":")[1].strip() for line in outside.run("ip", "-o", "link").splitlines()]
    table = subprocess.run(["nft", "list", "table", "inet", "conductor"], capture_output=True, text=True)
    return [link for link in links if link.startswith("cond")], table.stdout


def nothing_left():
    return kernel() == ([], "")


# ---- a plain link

def test_a_plain_network_connects_host_and_container(box):
    serve(box, "web")
    assert network(box, "web") is None
    said = box.ok("addnetwork", "web")
    web = network(box, "web")
    assert said.splitlines() == [f"host <-> web ({web['address']}, {web['address6']})"] or web["address6"] is None
    assert web["interface"] == "eth0" and web["host_interface"].startswith("cond") and not web["internet"]
    answers(box, "web", "I am web")
    assert "inet " + web["address"] in sh(box, "web", "ip address show eth0")
    with socket.create_server(("", 4711)):
        assert "refused" not in sh(box, "web", "timeout 5 nc -w 3 host 4711 < /dev/null")


def test_repeating_it_does_no_harm(box):
    serve(box, "web", "--expose", "80-8080")
    before = network(box, "web"), kernel()
    for _ in range(3):
        box.ok("addnetwork", "web", "-e", "80-8080")
    assert (network(box, "web"), kernel()) == before


def test_everything_taken_away_is_as_it_was(box):
    serve(box, "web")
    before = box.json("inspect", "web"), sh(box, "web", "cat /proc/self/mountinfo; ip address")
    box.ok("addnetwork", "web", "-i", "-e", "80-8080")
    assert kernel() != ([], "")
    assert box.ok("delnetwork", "web") == "web is connected to nothing\n"
    after = box.json("inspect", "web"), sh(box, "web", "cat /proc/self/mountinfo; ip address")
    assert after == before
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    assert not list((box.root / "network").glob("[0-9]*"))
    assert box.ok("delnetwork", "web") == "web is connected to nothing\n"


def test_nothing_remains_behind_a_stop(box):
    serve(box, "web", "--internet", "--expose", "80-8080")
    box.ok("stop", "web")
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    assert not list((box.root / "network").glob("[0-9]*"))


def test_a_kept_container_comes_back_with_its_address(box):
    serve(box, "web", "--expose", "80-8080")
    before = network(box, "web")
    box.ok("stop", "--keep", "web")
    assert network(box, "web")["address"] is None and network(box, "web")["published"] == before["published"]
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    box.ok("start", "web")
    assert network(box, "web") == before
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "it answers again")


def test_it_works_before_the_start(box):
    box.ok("create", "box", "web", *SERVER)
    said = box.ok("addnetwork", "web", "-e", "80-8080")
    assert said == "web does not run; when it does:\nhost <-> web\nhost 8080 -> web 80\n"
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    box.ok("start", "web")
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "it answers")


def test_start_gives_it_too(box):
    box.ok("create", "box", "web", *SERVER)
    box.ok("start", "web", "--expose", "80-8080")
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "it answers")


def test_a_killed_keeper_leaves_nothing_to_the_next_command(box):
    serve(box, "web", "--internet", "--expose", "80-8080")
    keeper = box.json("inspect", "web")["keeper"]
    os.kill(keeper, 9)
    wait_until(lambda: box.state("web") == "exited", 10, "it ends with its keeper")
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    before = list((box.root / "network").glob("[0-9]*"))
    assert len(before) == 1, "the address stays with the container"
    box.ok("rm", "web")
    assert not list((box.root / "network").glob("[0-9]*"))


def test_a_container_on_the_hosts_network_is_refused(box):
    box.ok("run", "-d", "box", "web", "--network", "host", "--", "sleep", "1000")
    for verb in (["addnetwork", "web"], ["delnetwork", "web"], ["peer", "web", "web2"]):
        if verb[0] == "peer":
            box.ok("create", "box", "web2", "--", "sleep", "1")
        assert "uses the host's (--network host)" in box.fails(*verb)
    assert "uses the host's" in box.fails("run", "box", "--network", "host", "--internet", "--", "true", status=125)


@pytest.mark.parametrize("option", [["--internet"], ["--expose", "80-8080"]])
def test_no_network_and_a_network_contradict_each_other(box, option):
    for verb in ("run", "create"):
        said = box.fails(verb, "box", "web", "--network", "none", *option, "--", "true", status=2)
        assert f"--network none and {option[0]} contradict each other" in said
        assert "uses the host's" in box.fails(verb, "box", "web", "--network", "host", *option, "--", "true", status=125 if verb == "run" else 1)
    assert box.json("ps", "-a") == []


@pytest.mark.parametrize("name", ["host", "localhost"])
def test_no_container_is_called_like_the_host(box, name):
    assert f"'{name}' cannot be a container's name" in box.fails("create", "box", name, "--", "true", status=2)
    box.ok("create", "box", "web", "--", "true")
    assert f"'{name}' cannot be a container's name" in box.fails("rename", "web", name, status=2)
    assert [c["name"] for c in box.json("ps", "-a")] == ["web"]


def test_a_link_that_the_container_deleted_is_made_again(box):
    serve(box, "web", "--cap-add", "NET_ADMIN", "--expose", "80-8080")
    before = network(box, "web")
    sh(box, "web", "ip link delete eth0")
    wait_until(lambda: not kernel()[0], 5, "the link is gone")
    box.ok("addnetwork", "web")
    assert network(box, "web") == before and "I am web" == ask("127.0.0.1", 8080)
    assert len([line for line in sh(box, "web", "cat /proc/self/mountinfo").splitlines() if "/etc/hosts" in line]) == 1


def test_an_interface_of_the_containers_own_is_told(box):
    serve(box, "web", "--cap-add", "NET_ADMIN")
    sh(box, "web", "ip link add eth0 type veth")
    assert "'web' has an interface eth0 of its own" in box.fails("addnetwork", "web")
    assert network(box, "web") is None
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    sh(box, "web", "ip link delete eth0")
    box.ok("addnetwork", "web")


def test_one_that_ends_meanwhile_keeps_what_it_wants(box):
    """Its process is gone between the look and the link."""
    serve(box, "web")
    serve(box, "db")
    pid = box.json("inspect", "db")["pid"]
    ended = []

    def decide(call):
        if not ended:
            ended.append(call)
            os.kill(pid, 9)
            wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "it is gone")
        return "go"

    status, _, error = Gated(box, "peer", "web", "db").drive(decide)
    assert (status, error) == (0, ""), error
    wait_until(lambda: box.state("db") == "exited", 10, "it has ended")
    assert network(box, "web")["peers"] == ["db"] and network(box, "db")["address"] is None
    box.ok("start", "db")
    wait_until(lambda: fetch(box, "web", "db") == "I am db", 10, "web reaches db")


def test_another_root_has_links_of_its_own(box):
    """Of containers of the same name, which would have the same number."""
    serve(box, "web", "--internet", "--expose", "80-8080")
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "it answers")
    other = Conductor()
    try:
        other.busybox_image("box")
        serve(other, "web", "--internet", "--expose", "81-8081")
        assert ask("127.0.0.1", 8080) == "I am web" and box.run("ps").stderr == ""
        wait_until(lambda: ask("127.0.0.1", 8081) == "other", 10, "that of the other root answers")
        said = other.fails("addnetwork", "web", "-e", "81-8080")
        assert "port 8080 of this host leads to 'web' of another root" in said
        assert network(other, "web")["published"] == [{"protocol": "tcp", "host_address": "", "outer": 8081, "inner": 81}]
        other.ok("doctor", "--fix")
        other.ok("stop", "web")
        assert ask("127.0.0.1", 8080) == "I am web" and box.run("ps").stderr == ""
    finally:
        other.close()


# ---- ports

def test_a_published_port_is_reached_at_every_address(box, far):
    serve(box, "web")
    said = box.ok("addnetwork", "web", "-e", "80-8080", "-e", "81-127.0.0.1:8081")
    assert said.splitlines()[1:] == ["host 8080 -> web 80", "host 127.0.0.1:8081 -> web 81"]
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "the published port answers")
    assert ask(outside.HERE, 8080) == far.ask(outside.HERE, 8080) == "I am web"
    assert ask("127.0.0.1", 8081) == "other"
    assert far.ask(outside.HERE, 8081) is None
    assert network(box, "web")["published"] == [
        {"protocol": "tcp", "host_address": "", "outer": 8080, "inner": 80},
        {"protocol": "tcp", "host_address": "127.0.0.1", "outer": 8081, "inner": 81}]
    assert box.ok("delnetwork", "web", "-e", "80-8080").splitlines()[1:] == ["host 127.0.0.1:8081 -> web 81"]
    assert ask("127.0.0.1", 8080) is None and far.ask(outside.HERE, 8080) is None
    assert ask("127.0.0.1", 8081) == "other"


def test_a_range_is_published_whole(box):
    serve(box, "web", "--expose", "80..81-9080..9081")
    wait_until(lambda: (ask("127.0.0.1", 9080), ask("127.0.0.1", 9081)) == ("I am web", "other"), 10, "both answer")
    row = next(line for line in box.ok("networks").splitlines() if line.startswith("web"))
    assert "80..81-9080..9081" in row and "80..81-9080..9081" in box.ok("ps")


def test_an_address_that_is_not_the_hosts_is_told(box, far):
    serve(box, "web")
    done = box.run("addnetwork", "web", "-e", f"80-{outside.THERE}:8080")
    assert done.returncode == 0 and f"no interface of this host has the address {outside.THERE}" in done.stderr
    for number, mine in enumerate((outside.HERE, f"[{outside.HERE6}]", "127.0.0.5")):
        assert "no interface" not in box.run("addnetwork", "web", "-e", f"80-{mine}:{8081 + number}").stderr


def test_a_port_that_a_process_has_is_refused_with_its_name(box):
    box.ok("create", "box", "web", *SERVER)
    with socket.create_server(("", 8080)):
        said = box.fails("addnetwork", "web", "-e", "80-8080")
        assert f"(process {os.getpid()}) listens on" in said and "port 8080 of the host is taken" in said
        assert network(box, "web") is None
        assert "is taken" in box.fails("run", "-d", "box", "--expose", "80-8080", "--", "true", status=125)
    box.ok("addnetwork", "web", "-e", "80-8080")
    with socket.create_server(("127.0.0.1", 8080)):
        assert f"(process {os.getpid()}) listens on 127.0.0.1" in box.fails("start", "web")
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    box.ok("start", "web")


def test_a_port_that_another_container_has_is_refused_with_its_name(box):
    serve(box, "web", "--expose", "80-8080")
    pid = box.json("inspect", "web")["pid"]
    serve(box, "other")
    said = box.fails("addnetwork", "other", "-e", "81-127.0.0.1:8080")
    assert f"port 8080 of the host leads to 'web' (process {pid}) already" in said
    assert "conductor delnetwork web -e 80-8080" in said
    assert network(box, "other") is None
    box.ok("stop", "--keep", "web")
    done = box.run("addnetwork", "other", "-e", "81-127.0.0.1:8080")
    assert done.returncode == 0 and "only one of both can run" in done.stderr
    assert "leads to 'other'" in box.fails("start", "web")


def test_one_port_of_the_host_leads_to_one_place(box):
    box.ok("create", "box", "web", "--expose", "80-8080", *SERVER)
    said = box.fails("addnetwork", "web", "-e", "81-8080", status=2)
    assert "port 8080 of the host leads to 80 of 'web' already" in said
    said = box.fails("run", "box", "x", "--expose", "1-2", "--expose", "2-2", "--", "true", status=2)
    assert "leads to 1 of 'x' already" in said


@pytest.mark.parametrize("ports,word", [("8080:80", "-expose 80-8080"), ("80-[::1]:8080", "[::1]"), ("80", "INNER-OUTER"),
                                        ("1..2000-1..2000", "at most 1024"), ("80-8080/sctp", "tcp and udp")])
def test_wrong_ports_are_answered_with_the_right_ones(box, ports, word):
    box.ok("create", "box", "web", "--", "true")
    assert word in box.fails("addnetwork", "web", "--expose", ports, status=2)
    assert word in box.fails("run", "box", "--expose", ports, "--", "true", status=2)


def counted():
    """Packets and bytes of each published port, by protocol and the port inside."""
    listed = outside.run("nft", "list", "set", "inet", "conductor", "through")
    found = re.findall(r'"cond\d+" \. (tcp|udp) \. (\d+) counter packets (\d+) bytes (\d+)', listed)
    return {(protocol, int(port)): (int(packets), int(size)) for protocol, port, packets, size in found}


def test_what_passes_a_published_port_is_counted_by_port(box, far):
    """Both directions, from this host's own programs as from elsewhere, over IPv4 and IPv6."""
    serve(box, "web", "--expose", "80-8080", "--expose", "81-8081", "--expose", "80-8082")
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "it answers")
    assert counted().keys() == {("tcp", 80), ("tcp", 81)} and counted()["tcp", 81] == (0, 0)
    for asker in (lambda: ask("127.0.0.1", 8080), lambda: far.ask(outside.HERE, 8080), lambda: far.ask(outside.HERE6, 8080),
                  lambda: ask(outside.HERE, 8082)):
        before = counted()["tcp", 80]
        assert asker() == "I am web"
        packets, size = (now - then for now, then in zip(counted()["tcp", 80], before))
        assert 8 <= packets <= 14 and size > 400, "a greeting, both ways"
    assert counted()["tcp", 81] == (0, 0)
    # Directly is not through a port.
    before = counted()
    assert ask(address(box, "web"), 80) == "I am web" and counted() == before
    box.ok("delnetwork", "web", "-e", "81-8081")
    assert counted().keys() == {("tcp", 80)}


def test_one_container_does_not_fill_the_hosts_table_of_connections(box):
    """As many as it may: then it is refused more at once, nobody else is, and doctor and networks tell."""
    for name in ("web", "db"):
        serve(box, name)
        box.ok("addnetwork", name)
    answers(box, "db", "I am db")
    limit = int(re.search(r"ct count over (\d+)", kernel()[1])[1])
    table = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    assert 0 < limit <= table / 4
    pid = box.json("inspect", "web")["pid"]
    gateway = address(box, "web").rsplit(".", 2)[0] + ".0.1"
    # A datagram to each port of the host is a connection to its kernel.
    flood = f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor p in range(1, {limit + 2000}):\n try: s.sendto(b'x', ('{gateway}', p))\n except OSError: pass"

    def is_refused(name):
        return "refused" in sh(box, name, "timeout 5 nc -w 3 host 4712 < /dev/null")

    def is_crowded():  # datagrams are forgotten after half a minute
        outside.run("nsenter", "-t", str(pid), "-n", "/usr/bin/python3", "-c", flood)
        return is_refused("web")

    with socket.create_server(("", 4712)):
        assert not is_refused("web")
        wait_until(is_crowded, 60, "no more connections are given to it")
        assert not is_refused("db")
    crowd = [r for r in box.json("networks")["host"]["remarks"] if "(web)" in r["place"]]
    assert len(crowd) == 1 and "wanted more connections at once" in crowd[0]["sentence"]
    assert any("(web)" in c["found"] for c in box.json("doctor") if c["check"] == "network")
    answers(box, "web", "I am web")  # who asks it is not its own doing


# ---- the internet

def test_only_with_internet_does_it_get_out(box, far):
    far.serve(7777, "far")
    serve(box, "web")
    box.ok("addnetwork", "web")
    assert "far" not in fetch(box, "web", outside.THERE, 7777)
    assert "web -> internet" in box.ok("addnetwork", "web", "-i")
    assert fetch(box, "web", outside.THERE, 7777) == f"far ::ffff:{outside.HERE}"
    assert far.ask(address(box, "web"), 80) is None, "nobody gets in that way"
    box.ok("delnetwork", "web", "-i")
    assert "far" not in fetch(box, "web", outside.THERE, 7777)
    assert network(box, "web")["internet"] is False and ask(address(box, "web"), 80)


# ---- peers

def test_peers_talk_by_name_and_nobody_else_does(box):
    for name in ("web", "db", "third"):
        serve(box, name)
        box.ok("addnetwork", name)
    assert "I am" not in fetch(box, "web", address(box, "db"))
    said = box.ok("peer", "web", "db")
    assert "web <-> db" in said and "third" not in said
    wait_until(lambda: fetch(box, "web", "db") == "I am db", 10, "web reaches db")
    assert fetch(box, "db", "web") == "I am web"
    assert "I am" not in fetch(box, "third", address(box, "db"))
    assert "bad address" in fetch(box, "web", "third")
    assert network(box, "web")["peers"] == ["db"] and network(box, "db")["peers"] == ["web"]
    box.ok("peer", "db", "web")
    box.ok("unpeer", "db", "web")
    assert "I am" not in fetch(box, "web", address(box, "db"))
    assert "bad address" in fetch(box, "web", "db")
    assert network(box, "web")["peers"] == []


def test_peering_connects_and_unpeering_undoes_that(box):
    serve(box, "web")
    serve(box, "db")
    box.ok("peer", "web", "db")
    wait_until(lambda: fetch(box, "web", "db") == "I am db", 10, "web reaches db")
    box.ok("unpeer", "web", "db")
    assert network(box, "web") is None and network(box, "db") is None
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")


def test_a_peer_that_comes_and_goes_is_known_while_it_is_there(box):
    for name in ("web", "db"):
        box.ok("create", "box", name, *SERVER)
    box.ok("peer", "web", "db")
    box.ok("start", "web")
    assert "bad address" in fetch(box, "web", "db")
    box.ok("start", "db")
    wait_until(lambda: fetch(box, "web", "db") == "I am db", 10, "web reaches db")
    assert fetch(box, "db", "web") == "I am web"
    box.ok("stop", "--keep", "db")
    assert "bad address" in fetch(box, "web", "db")
    box.ok("start", "db")
    wait_until(lambda: fetch(box, "web", "db") == "I am db", 10, "web reaches db again")
    box.ok("stop", "db")
    assert network(box, "web")["peers"] == []
    serve(box, "db")
    assert "bad address" in fetch(box, "web", "db"), "another of that name is no peer"


def test_delnetwork_takes_it_from_its_peers_too(box):
    for name in ("web", "db"):
        serve(box, name)
        box.ok("addnetwork", name)
    box.ok("peer", "web", "db")
    box.ok("delnetwork", "web")
    assert network(box, "db")["peers"] == [] and "bad address" in fetch(box, "db", "web")
    box.ok("addnetwork", "web")
    assert "I am" not in fetch(box, "db", address(box, "web"))


def test_a_container_needs_no_peering_with_itself(box):
    serve(box, "web")
    assert "to itself" in box.fails("peer", "web", "web", status=2)
    assert "no container named 'nobody'" in box.fails("peer", "web", "nobody")
    assert network(box, "web") is None


def routed():
    """What each link's element of the set `routed` says it has."""
    listed = outside.run("nft", "list", "set", "inet", "conductor", "routed")
    return {link: comment for link, comment in re.findall(r'"(cond\d+)" comment "([^"]*)"', listed)}


def test_a_count_that_is_wrong_hides_nothing(box):
    """By it elements are looked up instead of reading all; somebody wrote another one."""
    for name in ("web", "db"):
        serve(box, name)
    box.ok("addnetwork", "web", "-i", "-e", "80-8080")
    box.ok("peer", "web", "db")
    web, db = (network(box, name)["host_interface"] for name in ("web", "db"))
    before = routed()
    assert set(before) == {web, db} and before[db] == "conductor 2"
    for wrong in ("conductor", "conductor 1", "conductor 99", ""):
        comment = f'comment "{wrong}"' if wrong else ""
        outside.run("nft", f"delete element inet conductor routed {{ {web} }}; add element inet conductor routed {{ {web} {comment} }}")
        box.ok("delnetwork", "web", "-i")
        box.ok("addnetwork", "web", "-i")
        assert routed() == before, wrong
        outside.run("nft", f"delete element inet conductor routed {{ {web} }}; add element inet conductor routed {{ {web} {comment} }}")
        box.ok("unpeer", "web", "db")
        assert routed().keys() == {web}
        box.ok("peer", "web", "db")
        assert routed() == before
    box.ok("stop", "db", "-t", "0")
    box.ok("delnetwork", "web", "-e", "80-8080")
    box.ok("delnetwork", "web", "-i")
    assert routed() == {}
    listed = kernel()[1]
    assert f'"{web}"' not in "".join(re.findall(r"set (?:internet|peers|routed) {.*?\n\t}", listed, re.S)) and "8080" not in listed


# ---- names

def test_it_resolves_itself_and_the_host_and_cannot_write_that(box):
    serve(box, "web", "--hostname", "www", "--internet")
    own = address(box, "web")
    hosts = sh(box, "web", "cat /etc/hosts").splitlines()
    assert f"{own}\tweb www" in hosts and any(line.endswith("\thost") for line in hosts)
    for file in ("/etc/hosts", "/etc/resolv.conf"):
        assert "Read-only" in sh(box, "web", f"echo x > {file}")


def test_servers_of_the_hosts_resolver_come_with_the_internet(box, tmp_path):
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\nnameserver 192.0.2.53\nsearch example.org\noptions ndots:2\n")
    real = os.path.realpath("/etc/resolv.conf")
    outside.run("mount", "--bind", str(resolver), real)
    try:
        serve(box, "web")
        box.ok("addnetwork", "web")
        text = sh(box, "web", "cat /etc/resolv.conf")
        assert "nameserver" not in text and "options ndots:2" in text
        box.ok("addnetwork", "web", "-i")
        lines = sh(box, "web", "cat /etc/resolv.conf").splitlines()
        assert lines[1:] == ["nameserver 192.0.2.53", "search example.org", "options ndots:2"]
        resolver.write_text("nameserver 127.0.0.1\n")
        done = box.run("run", "-d", "box", "other", "--internet", *SERVER)
        assert done.returncode == 0 and "finds no names there" in done.stderr
    finally:
        outside.run("umount", real)


class NameServer:
    """Answers every question over UDP with one IPv4 address (RFC 1035); for tests of what a host's own resolver does."""

    def __init__(self, place, answer="192.0.2.77"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND: the address may come later
        self.socket.bind((place, 53))
        self.answer = socket.inet_aton(answer)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            asked, client = self.socket.recvfrom(512)
            if not asked:
                return
            end = asked.index(b"\0", 12) + 5
            of_ipv4 = asked[end - 4:end - 2] == b"\0\1"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + self.answer
            header = asked[:2] + b"\x81\x80\0\1" + (b"\0\1" if of_ipv4 else b"\0\0") + b"\0\0\0\0"
            self.socket.sendto(header + asked[12:end] + (record if of_ipv4 else b""), client)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


def test_the_hosts_own_name_server_answers_where_it_listens_for_containers(box, tmp_path):
    """On the loopback alone it is out of reach, and that is told with the cure; at the gateway's address it is asked."""
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\nsearch example.org\n")
    real = os.path.realpath("/etc/resolv.conf")
    outside.run("mount", "--bind", str(resolver), real)
    servers = [NameServer("127.0.0.1", "192.0.2.1")]
    try:
        serve(box, "web")
        done = box.run("addnetwork", "web", "-i")
        gateway = address(box, "web").rsplit(".", 2)[0] + ".0.1"
        assert done.returncode == 0 and f"Let the host's own listen at {gateway} too" in done.stderr
        assert "nameserver" not in sh(box, "web", "cat /etc/resolv.conf")
        servers.append(NameServer(gateway))
        done = box.run("addnetwork", "web", "-i")
        assert done.returncode == 0 and "finds no names" not in done.stderr
        assert f"nameserver {gateway}" in sh(box, "web", "cat /etc/resolv.conf")
        assert "192.0.2.77" in sh(box, "web", "nslookup some.where.example")
        box.ok("delnetwork", "web", "-i")
        assert "nameserver" not in sh(box, "web", "cat /etc/resolv.conf")
    finally:
        for server in servers:
            server.close()
        outside.run("umount", real)


def test_a_volume_in_that_place_wins(box, tmp_path):
    mine = tmp_path / "hosts"
    mine.write_text("192.0.2.9 mine\n")
    serve(box, "web", "-v", f"{mine}:/etc/hosts", "--internet")
    assert sh(box, "web", "cat /etc/hosts") == "192.0.2.9 mine"
    serve(box, "late", "-v", f"{mine}:/etc/hosts")
    box.ok("addnetwork", "late")
    assert sh(box, "late", "cat /etc/hosts") == "192.0.2.9 mine"
    box.ok("delnetwork", "late")
    assert sh(box, "late", "cat /etc/hosts") == "192.0.2.9 mine"


def test_a_link_in_that_place_leads_nowhere_else(conductor):
    """The image's names of our two files are links; neither the host's files nor others of the container change."""
    file = conductor.directory / "Recipe"
    file.write_text("FROM busybox\nRUN --network=none mkdir -p /etc && rm -f /etc/hosts /etc/resolv.conf && "
                    "ln -s /proc/version /etc/resolv.conf && ln -s ../../../../../../etc/motd /etc/hosts\n")
    conductor.ok("build", "box", file)
    before = [Path(p).read_bytes() for p in ("/etc/hosts", "/etc/resolv.conf")]
    serve(conductor, "web")
    version = sh(conductor, "web", "cat /proc/version")
    conductor.run("addnetwork", "web")
    conductor.run("delnetwork", "web")
    assert sh(conductor, "web", "cat /proc/version") == version
    assert [Path(p).read_bytes() for p in ("/etc/hosts", "/etc/resolv.conf")] == before
    assert not os.path.exists("/etc/motd") or b"conductor" not in Path("/etc/motd").read_bytes()


# ---- what is told

def test_networks_lists_who_is_connected(box):
    serve(box, "web", "--internet", "--expose", "80-8080")
    box.ok("create", "box", "db", *SERVER)
    box.ok("peer", "web", "db")
    lines = box.ok("networks").splitlines()
    assert lines[0].split() == ["NAME", "STATE", "ADDRESS", "ADDRESS6", "INTERNET", "PORTS", "PEERS"]
    assert lines[1].split()[:2] == ["web", "running"] and lines[1].split()[4:] == ["yes", "80-8080", "db"]
    assert lines[2].split()[:3] == ["db", "created", "-"]
    document = box.json("networks")
    assert [c["name"] for c in document["containers"]] == ["web", "db"]
    assert document["containers"][0]["networks"] == [network(box, "web")]
    assert document["host"]["subnet"].endswith(".0.0/16")
    assert {"kind", "cured", "place", "sentence", "hint"} == set(document["host"]["remarks"][0])


def test_json_of_the_verbs_is_the_container(box):
    serve(box, "web")
    web = box.json("addnetwork", "web", "-e", "80-8080")
    assert web["name"] == "web" and web["networks"] == [network(box, "web")]
    serve(box, "db")
    assert [c["name"] for c in box.json("peer", "web", "db")] == ["web", "db"]
    assert box.json("delnetwork", "web")["networks"] == []


def test_explain_narrates_what_a_person_would_type(box):
    serve(box, "web")
    said = box.run("addnetwork", "web", "-i", "--explain").stderr
    assert "ip link add" in said and "nft add element" in said and "nsenter" in said
    said = box.run("run", "--rm", "--internet", "--explain", "box", "--", "true").stderr
    assert "ip link add" in said and "connect 'box-1'" in said


def test_a_gate_that_aborts_leaves_everything_as_it_was(box):
    """Before each call once: what was begun is taken back, and the next try succeeds."""
    serve(box, "web")
    before = box.json("inspect", "web")
    count = 0
    while count < 200:
        gated = Gated(box, "addnetwork", "web", "-i", "-e", "80-8080")
        seen = iter(range(10 ** 6))
        status, _, _ = gated.drive(lambda call: "abort" if next(seen) == count else "go")
        if status == 0:
            break
        assert box.json("inspect", "web") == before, gated.calls[-1]
        wait_until(nothing_left, 5, lambda: f"left after {gated.calls[-1]}: {kernel()}")
        count += 1
    assert 5 < count < 200
    assert network(box, "web")["internet"]


def test_flushed_rules_are_mended_by_the_next_command(box):
    serve(box, "web", "--expose", "80-8080")
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "it answers")
    outside.run("nft", "flush", "ruleset")
    assert ask("127.0.0.1", 8080) is None
    done = box.run("ps")
    assert done.returncode == 0 and "mended" in done.stderr
    assert ask("127.0.0.1", 8080) == "I am web"
    assert box.run("ps").stderr == ""


def test_an_answer_that_did_not_fit_is_asked_for_again(box):
    """ENOBUFS for each of the answers that networks reads from the kernel, once: it tells the same, or what failed."""
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode != 0:
        pytest.skip("strace does not work here")
    serve(box, "web", "--expose", "80-8080")
    serve(box, "db")
    box.ok("peer", "web", "db")
    before = kernel()
    command = box.command("networks", "--json")

    def told(*tracing):
        done = subprocess.run([*tracing, *command], capture_output=True, text=True, env=box.environment_under_strace(), timeout=60)
        said = json.loads(done.stdout)["containers"] if done.returncode == 0 else None
        return done.returncode, said, done.stderr

    right = told()
    trace = box.directory / "trace"
    number, failed = 0, []
    while number < 200:
        number += 1
        status, said, errors = told("strace", "-f", "-qq", "-o", str(trace), "-e", "trace=recvfrom", "-e",
                                    f"inject=recvfrom:error=ENOBUFS:when={number}")
        if "INJECTED" not in trace.read_text():
            break
        assert (status, said) == right[:2] or (status == 1 and "No buffer space" in errors), errors
        failed += [number] if status else []
    assert 5 < number < 200 and len(failed) < number / 2
    assert kernel() == before


def test_a_table_of_that_name_of_somebody_elses_stays(box):
    outside.run("nft", "add table inet conductor; add chain inet conductor mine")
    mine = outside.run("nft", "list", "ruleset")
    try:
        said = box.fails("run", "-d", "box", "web", "--internet", "--", "true", status=125)
        assert "somebody else's" in said and "nft delete table inet conductor" in said
        serve(box, "web")
        assert "somebody else's" in box.fails("addnetwork", "web")
        box.ok("delnetwork", "web")
        checks = [c for c in box.json("doctor", "--fix") if c["check"] == "network"]
        assert any("somebody else's" in c["found"] for c in checks)
        box.ok("rm", "-f", "web")
        assert outside.run("nft", "list", "ruleset") == mine
    finally:
        outside.run("nft", "delete", "table", "inet", "conductor")


def test_two_that_start_at_once_with_one_port(box):
    """One of them runs, and whoever comes late is told of it."""
    starts = [box.start("run", "-d", "box", f"web{n}", "--expose", "80-8080", *SERVER) for n in range(4)]
    ends = [(start.communicate()[1], start.returncode) for start in starts]
    assert sorted(status for _, status in ends) == [0, 125, 125, 125]
    assert all("8080" in said and "another root" not in said for said, status in ends if status)
    assert len(box.json("ps")) == 1


def forward_chain(policy):
    outside.run("nft", "add table inet mine; add chain inet mine fw { type filter hook forward priority 0; "
                f"policy {policy}; }}; add chain inet mine pass; add rule inet mine pass accept")


@pytest.mark.parametrize("policy,rules,place", [
    ("drop", [], "policy drop"),
    ("accept", ["ip saddr 192.0.2.9 accept", "counter reject", "accept"], "rule with handle"),
])
def test_a_firewall_of_somebody_elses_is_named_and_left_alone(box, far, policy, rules, place):
    far.serve(7777, "far")
    forward_chain(policy)
    try:
        for rule in rules:
            outside.run("nft", f"add rule inet mine fw {rule}")
        mine = outside.run("nft", "list", "table", "inet", "mine")
        serve(box, "web")
        said = box.run("addnetwork", "web", "-i")
        assert said.returncode == 0 and f"table inet mine, chain fw, {place}" in said.stderr
        assert outside.run("nft", "list", "table", "inet", "mine") == mine
        assert "far" not in fetch(box, "web", outside.THERE, 7777)
        remark = next(r for r in box.json("networks")["host"]["remarks"] if "inet mine" in r["place"])
        assert not remark["cured"] and remark["hint"] in said.stderr
        outside.run("sh", "-c", remark["hint"])
        assert fetch(box, "web", outside.THERE, 7777).startswith("far")
        remark = next(r for r in box.json("networks")["host"]["remarks"] if "inet mine" in r["place"])
        assert remark["cured"]
        assert box.run("addnetwork", "web", "-i", "-e", "80-8080").stderr == ""
    finally:
        outside.run("nft", "delete", "table", "inet", "mine")


@pytest.mark.parametrize("rules", [["oifname lo drop"], ["accept", "drop"], ["ct state established,related accept", "iifname cond* jump pass", "oifname cond* accept", "drop"],
                                   ["ct state vmap { established : accept, invalid : drop }"], ["iif lo drop", "ct status dnat accept"],
                                   ["oifname { lo, virbr0 } drop", "iifname cond* ip saddr 8.0.0.0/8 drop"]])
def test_a_rule_that_lets_containers_pass_is_no_obstacle(box, far, rules):
    forward_chain("accept")
    try:
        for rule in rules:
            outside.run("nft", f"add rule inet mine fw {rule}")
        serve(box, "web", "--internet")
        assert not [r for r in box.json("networks")["host"]["remarks"] if "inet mine" in r["place"]]
    finally:
        outside.run("nft", "delete", "table", "inet", "mine")


def test_explained_rules_are_those_that_were_made(box):
    """Typed by hand on a host without them, the lines of --explain make the same table."""
    serve(box, "web", "--internet")
    made = outside.run("nft", "-s", "list", "table", "inet", "conductor")
    box.ok("delnetwork", "web")
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    lines = box.run("addnetwork", "web", "-i", "--explain=json").stderr.splitlines()
    typed = [each["by_hand"] for each in map(json.loads, lines)
             if each["event"] == "call_began" and each["by_hand"].startswith("nft ")]
    outside.run("nft", "delete", "table", "inet", "conductor")
    for line in typed:
        outside.run("sh", "-ec", line)
    again = outside.run("nft", "-s", "list", "table", "inet", "conductor")
    strip = lambda text: [line for line in text.splitlines() if "elements" not in line]
    assert len(typed) >= 2 and strip(again) == strip(made)
    assert network(box, "web")["host_interface"] in again


class Shell:
    """A shell into which somebody types: it reads no further than the line that it obeys."""

    def __init__(self):
        self.process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env={**os.environ, "SHELL": "/bin/bash"})

    def type(self, line):
        """What it answered, with the exit status as its last word."""
        self.process.stdin.write(f"{line}\necho typed $?\n")
        self.process.stdin.flush()
        said = ""
        while not re.search(r"^typed \d+\n", said, re.M):
            answer = self.process.stdout.readline()
            assert answer, f"{line}: {said}"
            said += answer
        return said

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def test_explained_lines_make_the_link_as_typed(box, far):
    """The link taken away, all that --explain says of the network, typed into one shell, makes the same one."""
    serve(box, "web")

    def picture():
        link = network(box, "web")["host_interface"]
        inside = f"nsenter -t {box.json('inspect', 'web')['pid']} -n"
        told = [outside.run(*f"{where} {what}".split()) for where in ("", inside)
                for what in ("ip -d link", "ip address", "ip route", "ip -6 route", "ip neigh show nud permanent")]
        told.append(outside.run("sysctl", "-a", "-r", rf"net\.ipv[46]\.conf\.{link}\.|ip_forward$"))
        return [re.sub(r"^\d+: |@if\d+|\S*stable_secret.*|link-netns\S* \S+|NO-CARRIER,|state \S+ |linkdown", "", text, flags=re.M) for text in told]

    lines = box.run("addnetwork", "web", "-i", "-e", "80-8080", "--explain=json").stderr.splitlines()
    typed = [each["by_hand"] for each in map(json.loads, lines) if each["event"] == "call_began"]
    ours = re.compile(r"(ip|nft|sysctl|conntrack) |nsenter --net=|exit$|echo .*/proc/sys/net/")
    typed = [line for line in typed if ours.match(line)]
    assert len([line for line in typed if line.startswith("nsenter --net=/proc/")]) == 1
    before = picture()
    outside.run("ip", "link", "delete", network(box, "web")["host_interface"])
    outside.run("nft", "delete", "table", "inet", "conductor")
    outside.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    shell = Shell()
    try:
        for line in typed:
            assert shell.type(line).splitlines()[-1] == "typed 0", (line, shell.type("true"))
    finally:
        shell.close()
    assert picture() == before
    wait_until(lambda: ask("127.0.0.1", 8080) == "I am web", 10, "it answers")


def test_doctor_tells_what_was_changed(box, far):
    outside.run("sysctl", "-qw", "net.ipv4.ip_forward=0")  # a new namespace takes it from the machine's
    serve(box, "web", "--internet")
    checks = [c for c in box.json("doctor") if c["check"] == "network"]
    assert any("ip_forward" in c["found"] for c in checks)
    box.ok("stop", "web")
    checks = [c for c in box.json("doctor") if c["check"] == "network"]
    assert [c["found"] for c in checks] == ["nothing of this host's network was changed"]


def test_refusals_name_the_verb_that_allows_it(box):
    assert "addnetwork" in box.fails("network", "ls", status=2)
    box.ok("create", "box", "web", "--", "true")
    assert "-e 80-8080" in box.fails("addnetwork", "web", "-p", "8080:80", status=2)


# ---- builds

def test_a_step_of_a_build_reaches_the_internet_by_a_link_of_its_own(box, far):
    far.serve(7777, "far")
    file = box.directory / "Recipe"
    file.write_text(f"FROM box\nRUN timeout 5 nc -w 3 {outside.THERE} 7777 < /dev/null > /said\n"
                    "RUN ip -o link > /links; cat /etc/hosts > /hosts\nRUN --network=none ip -o link > /none\n")
    box.ok("build", "web", file)
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    assert not list((box.root / "network").glob("[0-9]*"))
    read = lambda path: box.ok("run", "--rm", "web", "--", "cat", path)
    assert read("/said") == f"far ::ffff:{outside.HERE}"
    assert "eth0" in read("/links") and "up0" not in read("/links") and "eth0" not in read("/none")
    assert "\tbuild" in read("/hosts") and "\thost" in read("/hosts")
    files = {}
    for image in ("box", "web"):
        box.ok("create", image, f"of-{image}")
        box.ok("export", f"of-{image}", "-o", box.directory / image)
        with tarfile.open(box.directory / image) as archive:
            files[image] = {os.path.normpath(name) for name in archive.getnames()}
    assert sorted(files["web"] - files["box"]) == ["hosts", "links", "none", "said"], "the step's own files alone"


def test_a_killed_build_leaves_no_link(box, far):
    file = box.directory / "Recipe"
    file.write_text("FROM box\nRUN sleep 1000\n")
    build = box.start("build", "web", file)
    wait_until(lambda: kernel()[0], 20, "the step has its link")
    build.kill()
    build.communicate()
    wait_until(lambda: not kernel()[0], 10, "the link goes with the step")
    box.ok("doctor", "--fix")
    wait_until(nothing_left, 5, lambda: f"left: {kernel()}")
    assert not list((box.root / "network").glob("[0-9]*"))


@pytest.mark.parametrize("words", ["run -d --internet --expose 80-8080 box web -- sleep 1000", "addnetwork there -i",
                                   "delnetwork linked", "peer there linked"])
def test_killed_before_any_call_it_leaves_nothing_that_is_not_found(box, words):
    """All processes of this root at one moment; doctor --fix and rm take away whatever was begun."""
    number = 0
    while number < 300:
        for name in ("there", "linked"):
            box.run("rm", "-f", name)
            box.ok("run", "-d", "box", name, "--", "sleep", "1000")
        box.ok("addnetwork", "linked", "-i")
        gated = Gated(box, *words.split())
        killed = gated.kill_before(number, everybody=True)
        assert killed or gated.status == 0, gated.error
        box.ok("doctor", "--fix")
        for container in box.json("ps", "-a"):
            box.ok("rm", "-f", container["name"])
        wait_until(nothing_left, 5, lambda: f"left after {gated.calls[-1]}: {kernel()}")
        assert not list((box.root / "network").glob("[0-9]*")), gated.calls[-1]
        if not killed:
            break
        number += 3 if number > 3 else 1  # each call in three of a long row: the states between are alike
    assert 5 < number < 300


def test_the_demo_talks(conductor):
    """One container asks the other for the time, by name, from its first question on."""
    assert "are peers" in conductor.ok("demo")
    try:
        wait_until(lambda: re.search(r"\d\d:\d\d:\d\d", conductor.ok("logs", "demo-client")), 10, lambda: "the time is told")
        assert "bad address" not in conductor.run("logs", "demo-client").stdout
        assert "demo-web runs already" in conductor.ok("demo")
    finally:
        conductor.ok("stop", "demo-web", "demo-client")
