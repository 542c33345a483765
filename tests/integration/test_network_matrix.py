"""Who reaches whom, tried for everybody and everything: {the host, its 127.0.0.1, a host on its LAN, one on the internet,
two containers} x {plain, -i, -e, peer, each taken back} x {TCP, UDP, ping} x {IPv4, IPv6}, on hosts of many kinds.

What is allowed works; what is not is refused at once, where it comes to us at all. Each test compares the whole matrix
with what the rules promise (`promised()`), so nothing can become reachable unnoticed.
"""
import re
import subprocess

import pytest
from support.namespaces import Namespace, ping, tcp, udp
from support.town import SERVICE, Town
from support.waiting import PATIENCE, wait_until

INNER, OUTER = 80, 8080
AT_ONCE = 0.7 * PATIENCE


def networks_of(box, name):
    return next(c for c in box.json("ps") if c["name"] == name)["networks"]


class Container:
    def __init__(self, box, name):
        self.name = name
        described = next(c for c in box.json("ps") if c["name"] == name)
        self.space = Namespace.of_process(described["pid"], name)
        network = described["networks"][0]
        self.link = network["host_interface"]
        self.address, self.address6 = network["address"], network["address6"]
        self.gateway = self.address.rsplit(".", 2)[0] + ".0.1"
        self.gateway6 = self.address6.rsplit("::", 1)[0] + "::1"


class Street:
    """A town whose host runs two containers, a and b, with servers on port 80."""

    def __init__(self, conductor, **options):
        self.town = Town(**options)
        self.box = conductor
        image = conductor.busybox_image()
        for name in ("a", "b"):
            conductor.ok("run", "-d", image, name, "--", "sleep", "1000")
            conductor.ok("addnetwork", name)
        self.look()

    def look(self):
        self.a, self.b = Container(self.box, "a"), Container(self.box, "b")
        for container in (self.a, self.b):
            self.town.servers.add(container.space, INNER, container.name)

    def forget(self, container):
        """Sockets of ours in a container would keep its namespace."""
        self.town.servers.remove(container.space)
        container.space.close()

    def close(self):
        for container in (self.a, self.b):
            self.forget(container)
        try:
            self.box.remove_containers()
            wait_until(lambda: not [n for n in self.links() if n.startswith("cond")], 5, lambda: f"no link is left: {self.links()}")
        finally:
            self.town.close()

    def links(self):
        return re.findall(r"^\d+: ([^:@]+)", self.town.host.run("ip", "link"), re.M)


@pytest.fixture
def street(conductor):
    street = Street(conductor)
    yield street
    street.close()


class Rights:
    """What has been granted."""

    def __init__(self, internet=(), published=(), peered=False):
        self.internet, self.published, self.peered = set(internet), set(published), peered


def promised(street, rights):
    """(from, to, protocol, address, port, expected, who answers) for everything that is tried. Expected is "ok",
    "refused" (at once), or "no": refused or silent, where the host forwards nothing and so says nothing."""
    town, a, b = street.town, street.a, street.b
    rows = []

    def services(source, name, addresses, port, allowed, who, otherwise="refused"):
        for address in addresses:
            for protocol in ("tcp", "udp"):
                rows.append((source, name, protocol, address, port, "ok" if allowed else otherwise, who))

    def pings(source, name, addresses, allowed, otherwise="refused"):
        for address in addresses:
            rows.append((source, name, "ping", address, 0, "ok" if allowed else otherwise, address))

    for me, other in ((a, b), (b, a)):
        mine, others = (me.address, me.address6), (other.address, other.address6)
        services(town.host, f"{me.name} itself", mine, INNER, True, me.name)
        pings(town.host, f"{me.name} itself", mine, True)
        services(me.space, "the host", (me.gateway, me.gateway6), SERVICE, True, "host")
        pings(me.space, "the host", (me.gateway, me.gateway6), True)
        services(me.space, f"{other.name} itself", others, INNER, rights.peered, other.name)
        pings(me.space, f"{other.name} itself", others, rights.peered)
        goes_out = me.name in rights.internet
        for name, addresses in (("the internet", (town.INET, town.INET6)), ("the LAN", (town.LAN, town.LAN6))):
            services(me.space, name, addresses, SERVICE, goes_out, "inet" if name == "the internet" else "lan")
            pings(me.space, name, addresses, goes_out)
        # Addresses of the host's own: always the host itself. Then a's published port behind them.
        at_host = (me.gateway, town.HOST_ON_LAN, town.HOST_OUTSIDE, me.gateway6, town.HOST_ON_LAN6, town.HOST_OUTSIDE6)
        services(me.space, "a's published port", at_host, OUTER, goes_out and "a" in rights.published, "a")
        # Nobody reaches a container itself from elsewhere.
        for stranger in (town.lan, town.inet):
            services(stranger, f"{me.name} itself", mine, INNER, False, me.name, "no")
            pings(stranger, f"{me.name} itself", mine, False, "no")

    is_published = "a" in rights.published
    services(town.host, "a's published port", ("127.0.0.1", "127.0.0.5", town.HOST_ON_LAN, town.HOST_OUTSIDE, a.gateway,
                                               town.HOST_ON_LAN6, a.gateway6), OUTER, is_published, "a")
    services(town.host, "a's published port", ("::1",), OUTER, False, "a")
    services(town.lan, "a's published port", (town.HOST_ON_LAN, town.HOST_ON_LAN6), OUTER, is_published, "a")
    services(town.inet, "a's published port", (town.HOST_OUTSIDE, town.HOST_OUTSIDE6), OUTER, is_published, "a")
    return rows


def matrix(street, rights):
    """Tries everything; the disagreements, one line each."""
    wrong = []
    trials = {"tcp": tcp, "udp": udp, "ping": lambda space, address, port, timeout: ping(space, address, timeout)}
    for source, name, protocol, address, port, expected, who in promised(street, rights):
        timeout = 0.15 if expected == "no" else 2.0 * PATIENCE
        seen = trials[protocol](source, address, port, timeout)
        is_right = {"ok": seen.word == "ok" and seen.who == who,
                    "refused": seen.word == "refused" and seen.seconds < AT_ONCE,
                    "no": seen.word in ("refused", "silent")}[expected]
        if not is_right:
            wrong.append(f"{source.name} -> {name} ({protocol} {address}:{port}): {seen!r}, not {expected}")
    return wrong


def assert_matrix(street, **rights):
    wrong = matrix(street, Rights(**rights))
    assert not wrong, f"{len(wrong)} of {len(promised(street, Rights(**rights)))} are wrong:\n" + "\n".join(wrong)


PORTS = ("-e", f"{INNER}-{OUTER}", "-e", f"{INNER}-{OUTER}/udp")


def grant_everything(street):
    street.box.ok("addnetwork", "a", "-i", *PORTS)
    street.box.ok("peer", "a", "b")


EVERYTHING = dict(internet={"a"}, published={"a"}, peered=True)


def test_plain_containers_and_the_host_reach_each_other_and_nothing_else(street):
    assert_matrix(street)


def test_internet(street):
    street.box.ok("addnetwork", "a", "-i")
    assert_matrix(street, internet={"a"})


def test_published_ports(street):
    street.box.ok("addnetwork", "a", *PORTS)
    assert_matrix(street, published={"a"})


def test_a_published_port_is_reached_by_containers_with_internet(street):
    street.box.ok("addnetwork", "a", *PORTS)
    street.box.ok("addnetwork", "b", "-i")
    assert_matrix(street, internet={"b"}, published={"a"})


def test_peers(street):
    street.box.ok("peer", "a", "b")
    assert_matrix(street, peered=True)


def test_everything_at_once(street):
    grant_everything(street)
    assert_matrix(street, **EVERYTHING)


@pytest.mark.parametrize("what", ["internet", "published", "peer"])
def test_what_is_taken_back_is_gone_and_the_rest_stays(street, what):
    grant_everything(street)
    rights = dict(EVERYTHING)
    if what == "internet":
        street.box.ok("delnetwork", "a", "-i")
        rights["internet"] = set()
    elif what == "published":
        street.box.ok("delnetwork", "a", *PORTS)
        rights["published"] = set()
    else:
        street.box.ok("unpeer", "a", "b")
        rights["peered"] = False
    assert_matrix(street, **rights)


def test_granted_twice_is_granted_once(street):
    for _ in range(2):
        grant_everything(street)
    assert_matrix(street, **EVERYTHING)


def test_everything_is_back_with_the_same_addresses_after_stop_and_start(street):
    grant_everything(street)
    before = networks_of(street.box, "a")
    street.forget(street.a)
    street.forget(street.b)
    street.box.ok("stop", "--keep", "a", "b", "-t", "1")
    wait_until(lambda: not [n for n in street.links() if n.startswith("cond")], 5, lambda: f"links are gone: {street.links()}")
    street.box.ok("start", "a")
    street.box.ok("start", "b")
    street.look()
    assert networks_of(street.box, "a") == before
    assert_matrix(street, **EVERYTHING)


# ---- hosts of many kinds

@pytest.mark.parametrize("rp_filter", ["0", "1", "2"])
def test_reverse_path_filters_of_the_host(street, rp_filter):
    street.town.host.write("net/ipv4/conf/all/rp_filter", rp_filter)
    for name in street.links():
        street.town.host.write(f"net/ipv4/conf/{name}/rp_filter", rp_filter)
    grant_everything(street)
    assert_matrix(street, **EVERYTHING)


def iptables(town, variant, *arguments):
    for program in ("iptables", "ip6tables"):
        town.host.run(f"{program}-{variant}", *arguments)


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_a_firewall_that_forwards_nothing(street, variant):
    town = street.town
    iptables(town, variant, "-P", "FORWARD", "DROP")
    try:
        grant_everything(street)
        assert_matrix(street, **EVERYTHING)
    finally:
        street.box.run("delnetwork", "a", "-i", *PORTS)
        iptables(town, variant, "-P", "FORWARD", "ACCEPT")
        iptables(town, variant, "-F", "FORWARD")


def test_after_somebody_flushed_all_rules(street):
    grant_everything(street)
    street.town.host.run("nft", "flush", "ruleset")
    street.box.ok("ps")
    assert_matrix(street, **EVERYTHING)


def test_the_default_route_moves_while_containers_run(street):
    grant_everything(street)
    street.town.move_default_route()
    street.town.servers.seen.clear()
    assert_matrix(street, **EVERYTHING)
    assert ("inet", "::ffff:" + Town.HOST_OUTSIDE_LATER) in street.town.servers.seen


def test_a_thousand_other_containers(street):
    lines = []
    for index in range(40000, 41000):
        lines.append(f'add element inet conductor internet {{ "cond{index}" }}')
        lines.append(f'add element inet conductor peers {{ "cond{index}" . "cond{index + 1}" }}')
    grant_everything(street)
    street.town.host.run("nft", "-f", "-", input="\n".join(lines))
    assert_matrix(street, **EVERYTHING)


def test_a_narrow_way_to_the_internet(conductor):
    street = Street(conductor, mtu=1300)
    try:
        grant_everything(street)
        assert_matrix(street, **EVERYTHING)
        for address in (Town.INET, Town.INET6):
            assert echoed(street.a.space, address, 200_000) == 200_000
    finally:
        street.close()


def echoed(space, address, size):
    """How many bytes come back from the service there."""
    import socket

    client = space.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(10 * PATIENCE)
    with client:
        client.connect((address, SERVICE))
        greeting = len("inet")
        back = -greeting
        sent = 0
        while back < size:
            if sent < size:
                chunk = client.send(b"x" * min(8000, size - sent))
                sent += chunk
            back += len(client.recv(65536))
    return back


# ---- live connections

def connection(space, address, port):
    import socket

    client = space.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(2 * PATIENCE)
    client.connect((address, port))
    client.recv(100)
    client.send(b"hello")
    assert client.recv(100) == b"hello"
    return client


def ends(client):
    """How a connection ends of which the client hears nothing until it says something: "reset", "silent" or "alive"."""
    client.settimeout(2 * PATIENCE)
    try:
        for _ in range(2):  # what answers the first may come after it
            client.send(b"still there?")
            if client.recv(100) == b"":
                return "closed"
        return "alive"
    except TimeoutError:
        return "silent"
    except (ConnectionResetError, BrokenPipeError, ConnectionAbortedError):
        return "reset"
    finally:
        client.close()


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_running_connections_are_reset_with_their_permission(street, family):
    town, a, b = street.town, street.a, street.b
    v6 = family == "IPv6"
    grant_everything(street)
    to_peer = connection(b.space, a.address6 if v6 else a.address, INNER)
    outward = connection(a.space, town.INET6 if v6 else town.INET, SERVICE)
    inward = connection(town.lan, town.HOST_ON_LAN6 if v6 else town.HOST_ON_LAN, OUTER)
    street.box.ok("unpeer", "a", "b")
    assert ends(to_peer) == "reset"
    street.box.ok("delnetwork", "a", "-i")
    assert ends(outward) == "reset"
    street.box.ok("delnetwork", "a", *PORTS)
    assert ends(inward) == "reset"


def connections_of_a(street, v6):
    """To and from a, by all that may be granted: (what, the end that is not in a, or the only one that asks)."""
    town, a, b = street.town, street.a, street.b
    street.box.ok("addnetwork", "b", "-i")
    grant_everything(street)
    address, gateway = (a.address6, a.gateway6) if v6 else (a.address, a.gateway)
    on_lan = town.HOST_ON_LAN6 if v6 else town.HOST_ON_LAN
    return {"host": connection(town.host, address, INNER), "peer": connection(b.space, address, INNER),
            "published, from the LAN": connection(town.lan, on_lan, OUTER),
            "published, from the host": connection(town.host, on_lan, OUTER),
            "published, from a container": connection(b.space, gateway, OUTER)}


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_running_connections_are_reset_with_the_whole_network(street, family):
    town, a, b = street.town, street.a, street.b
    v6 = family == "IPv6"
    clients = connections_of_a(street, v6)
    inside = {"internet": connection(a.space, town.INET6 if v6 else town.INET, SERVICE),
              "host": connection(a.space, a.gateway6 if v6 else a.gateway, SERVICE),
              "peer": connection(a.space, b.address6 if v6 else b.address, INNER)}
    street.box.ok("delnetwork", "a")
    assert {name: ends(client) for name, client in clients.items()} == dict.fromkeys(clients, "reset")
    assert {name: ends(client) for name, client in inside.items()} == dict.fromkeys(inside, "reset")


def test_the_hosts_connections_are_reset_when_the_last_link_is_deleted_inside(street):
    """Then no link has the host's address any more, and no rule sees the answer: the next command does it."""
    clients = [connection(street.town.host, address, INNER) for address in (street.a.address, street.a.address6)]
    street.box.ok("delnetwork", "b")
    street.a.space.ip("link delete eth0")
    wait_until(lambda: street.a.link not in street.links(), 5, "the link goes")
    street.box.ok("ps")
    assert [ends(client) for client in clients] == ["reset"] * 2


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_running_connections_are_reset_when_a_container_deletes_its_link(street, family):
    clients = connections_of_a(street, family == "IPv6")
    street.a.space.ip("link delete eth0")
    wait_until(lambda: street.a.link not in street.links(), 5, "the link goes")
    # The host's own way to its published port is forgotten by the next command.
    by_command = clients.pop("published, from the host")
    assert {name: ends(client) for name, client in clients.items()} == dict.fromkeys(clients, "reset")
    street.box.ok("ps")
    assert ends(by_command) == "reset"
    # Who asks for it now is refused at once as well, and nothing of it leaves the host.
    a = street.a
    street.town.servers.seen.clear()
    for address in (a.address, a.address6):
        assert tcp(street.b.space, address, SERVICE).word == "refused"
        assert udp(street.b.space, address, SERVICE).word == "refused"
        assert ping(street.b.space, address).word == "refused"
    assert street.town.servers.seen == []


def test_who_asked_before_a_port_was_published_is_heard_afterwards(street):
    """UDP from one port of the client to one of the host: the kernel takes it for one conversation."""
    import socket

    for space, host in ((street.town.lan, Town.HOST_ON_LAN), (street.town.lan, Town.HOST_ON_LAN6), (street.town.host, "127.0.0.1")):
        client = space.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        with client:
            client.settimeout(2 * PATIENCE)
            client.connect((host, OUTER))
            client.send(b"too early")
            with pytest.raises(ConnectionRefusedError):
                client.recv(100)
            street.box.ok("addnetwork", "a", "-e", f"{INNER}-{OUTER}/udp")
            client.send(b"and now?")
            assert client.recv(100) == b"a"
            street.box.ok("delnetwork", "a", "-e", f"{INNER}-{OUTER}/udp")


# ---- what must not become possible

def test_the_host_does_not_become_a_router_for_others(street):
    """The LAN and the office reached each other before exactly as they do while a container has internet."""
    town = street.town

    def between():
        trials = [(town.lan, town.OFFICE), (town.lan, town.OFFICE6), (town.office, town.LAN), (town.office, town.LAN6),
                  (town.lan, town.INET), (town.inet, town.LAN)]
        return [(s.name, address, tcp(s, address, SERVICE, 0.3).word) for s, address in trials]

    before = between()
    grant_everything(street)
    assert between() == before
    assert all(word != "ok" for _, _, word in before)


def test_a_host_that_routes_goes_on_routing(conductor):
    street = Street(conductor)
    try:
        street.town.host.write("net/ipv4/ip_forward", "1")
        assert tcp(street.town.lan, Town.OFFICE, SERVICE).word == "ok"
        grant_everything(street)
        assert tcp(street.town.lan, Town.OFFICE, SERVICE).word == "ok"
    finally:
        street.close()


def test_nobody_is_believed_with_another_address(street):
    """A container that takes its neighbour's address, or one of the host's loopback, is not heard."""
    town, a, b = street.town, street.a, street.b
    street.box.ok("addnetwork", "a", "-i")
    a.space.ip(f"address add {b.address}/32 dev eth0", f"address add {b.address6}/128 dev eth0 nodad")
    town.servers.seen.clear()
    import socket

    for source, target in ((b.address, a.gateway), (b.address, town.INET), (b.address6, a.gateway6), (b.address6, town.INET6)):
        client = a.space.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
        with client:
            client.settimeout(0.3)
            client.bind((source, 0))
            client.connect((target, SERVICE))
            try:
                client.send(b"I am b")
                client.recv(100)
            except OSError:
                pass
    assert not [who for who in town.servers.seen if who[1].removeprefix("::ffff:") in (b.address, b.address6)]
    assert town.servers.seen == []


def test_no_way_into_the_hosts_loopback(street):
    town, a = street.town, street.a
    grant_everything(street)
    a.space.write("net/ipv4/conf/all/route_localnet", "1")
    a.space.ip("route del table local 127.0.0.0/8 dev lo", f"route add 127.0.0.99/32 via {a.gateway} dev eth0 onlink")
    town.servers.seen.clear()
    assert tcp(a.space, "127.0.0.99", SERVICE, 0.5).word != "ok"
    assert udp(a.space, "127.0.0.99", SERVICE, 0.5).word != "ok"
    assert town.servers.seen == []


def test_no_router_advertisement_is_taken(street):
    """Neither does a container take them from its link, nor the host from a container's."""
    for space, link in ((street.a.space, "eth0"), (street.town.host, street.a.link)):
        accepts, forwards = (space.read(f"net/ipv6/conf/{link}/{name}") for name in ("accept_ra", "forwarding"))
        assert accepts == "0" or (accepts == "1" and forwards == "1"), (space.name, accepts, forwards)


def test_a_port_published_by_somebody_else_is_no_way_out(street):
    """Another program of the host (docker, say) forwards host:9900 to the LAN: without -i that leads nowhere."""
    town, a = street.town, street.a
    town.host.write("net/ipv4/ip_forward", "1")
    town.host.run("nft", "-f", "-", input=f"""
        table ip theirs {{
          chain pre {{ type nat hook prerouting priority dstnat; tcp dport 9900 dnat to {town.LAN}:{SERVICE}; }}
          chain post {{ type nat hook postrouting priority srcnat; ip daddr {town.LAN} masquerade; }}
        }}""")
    try:
        assert tcp(town.office, "192.168.60.1", 9900).who == "lan"
        assert tcp(a.space, a.gateway, 9900).word == "refused"
        street.box.ok("addnetwork", "a", "-i")
        assert tcp(a.space, a.gateway, 9900).who == "lan"
    finally:
        town.host.run("nft", "delete table ip theirs")


def test_another_container_is_no_way_out(street):
    """a has no internet, its peer b has, and would even forward for it."""
    a, b, town = street.a, street.b, street.town
    street.box.ok("peer", "a", "b")
    street.box.ok("addnetwork", "b", "-i")
    b.space.write("net/ipv4/ip_forward", "1")
    a.space.ip(f"route replace {town.INET}/32 via {b.address} dev eth0 onlink")
    assert tcp(a.space, town.INET, SERVICE, 0.5).word != "ok"


# ---- the host afterwards

def picture(town):
    """Everything of the host's network that somebody could have changed, one text a kind."""
    commands = {"links": "ip -d link", "addresses": "ip address", "routes": "ip route show table all",
                "routes 6": "ip -6 route show table all", "rules": "ip rule", "rules 6": "ip -6 rule", "neighbours": "ip neigh show nud permanent",
                "nft": "nft list ruleset", "iptables": "iptables-nft-save", "legacy": "iptables-legacy-save"}
    seen = {kind: re.sub(r"(expires|valid_lft|preferred_lft|used) \S+|\[\d+:\d+\]|^#.*$|packets \d+ bytes \d+", "", town.host.run(*command.split()), flags=re.M)
            for kind, command in commands.items()}
    seen["sysctls"] = town.host.run("sysctl", "-a", "--pattern", r"^net\.ipv[46]\.(ip_forward|conf\..*)")
    seen["etc"] = subprocess.run(["find", "/etc", "-newermt", "2000-01-01", "-printf", "%p %T@ %s %m\n"], capture_output=True, text=True).stdout
    return seen


def test_after_a_hundred_operations_the_host_is_as_before(conductor):
    import random

    dice = random.Random(4)
    town = Town()
    try:
        image = conductor.busybox_image()
        conductor.ok("run", "--rm", image, "--", "true")
        before = picture(town)
        names = ["a", "b", "c"]
        for name in names:
            conductor.ok("run", "-d", image, name, "--", "sleep", "1000")
        port = iter(range(9000, 10000))
        operations = [
            lambda: ("addnetwork", dice.choice(names)),
            lambda: ("addnetwork", dice.choice(names), "-i"),
            lambda: ("addnetwork", dice.choice(names), "-e", f"80-{next(port)}"),
            lambda: ("addnetwork", dice.choice(names), "-e", f"53-{next(port)}/udp", "-e", f"22-127.0.0.1:{next(port)}"),
            lambda: ("delnetwork", dice.choice(names), "-i"),
            lambda: ("delnetwork", dice.choice(names)),
            lambda: ("peer", *dice.sample(names, 2)),
            lambda: ("unpeer", *dice.sample(names, 2)),
            lambda: ("stop", "--keep", "-t", "0", dice.choice(names)),
            lambda: ("start", dice.choice(names)),
            lambda: ("networks",),
        ]
        for _ in range(100):
            done = conductor.run(*dice.choice(operations)())
            assert done.returncode in (0, 1), done.stderr
        conductor.ok("stop", *names, "-t", "0")
        wait_until(lambda: not re.search(r"cond\d", town.host.run("ip", "link")), 5, lambda: "no link is left")
        after = picture(town)
        for kind in before:
            assert after[kind] == before[kind], kind
    finally:
        town.close()
