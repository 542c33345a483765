"""Conductor beside the firewalls that a host may have: what they refuse is found and named with its place, cured where
that is right, else told with the line that cures it; and the essentials of the network work beside them.

The rule sets in support/firewalls are what ufw 0.36.2 and firewalld 1.3.3 of Debian 12 wrote in a network namespace
(firewalld-trusting: after the line that conductor gives as its hint), and what libvirt's documentation and sources say it writes. The
programs themselves are not test packages: to install firewalld is to switch it on.
"""
from pathlib import Path

import pytest
from support.namespaces import ping, tcp, udp
from support.town import SERVICE, Town
from support.waiting import PATIENCE

from integration.test_network_matrix import INNER, OUTER, PORTS, Street

RULES = Path(__file__).resolve().parent.parent / "support/firewalls"


@pytest.fixture
def street(conductor):
    street = Street(conductor)
    yield street
    host = street.town.host
    for line in ("nft delete table inet firewalld", "nft delete table ip libvirt_network", "nft delete table ip6 libvirt_network",
                 "ip link delete virbr0"):
        host.run(*line.split(), check=False)
    street.box.run("delnetwork", "a", "-i", *PORTS)
    street.box.run("unpeer", "a", "b")
    for program in ("iptables-nft", "ip6tables-nft"):
        for table in ("filter", "nat"):
            host.run(program, "-t", table, "-F")
            host.run(program, "-t", table, "-X")
        for chain in ("INPUT", "FORWARD"):
            host.run(program, "-P", chain, "ACCEPT")
    street.close()


def load_ufw(host):
    host.run("iptables-nft-restore", input=(RULES / "ufw.rules").read_text())
    host.run("ip6tables-nft-restore", input=(RULES / "ufw6.rules").read_text())


def load_libvirt(host):
    bridge(host)
    host.run("iptables-nft-restore", "--noflush", input=(RULES / "libvirt.rules").read_text())


def load_libvirt_nft(host):
    bridge(host)
    host.run("nft", "-f", RULES / "libvirt.nft")


def bridge(host):
    host.ip("link add virbr0 type bridge", "address add 192.168.122.1/24 dev virbr0", "link set virbr0 up")


def load_firewalld(host, file="firewalld.nft"):
    host.run("nft", "delete", "table", "inet", "firewalld", check=False)
    host.run("nft", "-f", RULES / file)


def grant(street):
    """Everything; what was said."""
    return street.box.run("addnetwork", "a", "-i", *PORTS).stderr + street.box.run("peer", "a", "b").stderr


def essentials(street):
    """What works of internet, published ports and peers, and of what always works: a word each."""
    town, a, b = street.town, street.a, street.b
    patience = 1.0 * PATIENCE
    trials = {
        "host to container": [tcp(town.host, a.address, INNER, patience), tcp(town.host, a.address6, INNER, patience)],
        "internet": [tcp(a.space, town.INET, SERVICE, patience), tcp(a.space, town.INET6, SERVICE, patience),
                     udp(a.space, town.INET, SERVICE, patience), ping(a.space, town.INET6, patience)],
        "published": [tcp(town.lan, town.HOST_ON_LAN, OUTER, patience), tcp(town.lan, town.HOST_ON_LAN6, OUTER, patience),
                      udp(town.inet, town.HOST_OUTSIDE, OUTER, patience), tcp(town.host, "127.0.0.1", OUTER, patience)],
        "peer": [tcp(a.space, b.address, INNER, patience), udp(b.space, a.address6, INNER, patience)],
    }
    return {what for what, seen in trials.items() if all(each.word == "ok" for each in seen)}


ALWAYS, ALL = {"host to container"}, {"host to container", "internet", "published", "peer"}


def services_of_the_host(street):
    return [tcp(street.a.space, gateway, SERVICE, 0.3).word == "ok" for gateway in (street.a.gateway, street.a.gateway6)]


def remarks(street):
    return {r["place"]: r for r in street.box.json("networks")["host"]["remarks"] if r["kind"] == "obstacle"}


def nobody_else_gets_in(street):
    """Beside the firewall nothing became possible that is not granted."""
    town = street.town
    assert tcp(street.b.space, town.INET, SERVICE, 0.3).word != "ok"
    assert tcp(town.lan, town.OFFICE, SERVICE, 0.3).word != "ok"


@pytest.mark.parametrize("load", [load_libvirt, load_libvirt_nft])
def test_libvirt_is_no_obstacle(street, load):
    load(street.town.host)
    assert essentials(street) == ALWAYS
    assert "chain" not in grant(street).replace("chain others", "")
    assert essentials(street) == ALL and remarks(street) == {}
    assert services_of_the_host(street) == [True, True]
    nobody_else_gets_in(street)


@pytest.mark.parametrize("when", ["before", "after"])
def test_ufw_is_cured_by_two_rules(street, when):
    host = street.town.host
    if when == "after":
        grant(street)
    load_ufw(host)
    if when == "before":
        assert essentials(street) == ALWAYS
        assert "table ip filter, chain FORWARD, policy drop drops what is forwarded: two rules" in grant(street)
    else:
        assert "mended: the rules that let containers' links pass another firewall were missing" in street.box.run("ps").stderr
    assert essentials(street) == ALL
    nobody_else_gets_in(street)
    found = remarks(street)
    assert found["table ip filter, chain FORWARD, policy drop"]["cured"]
    told = found["table ip filter, chain INPUT, policy drop"]
    assert told["hint"] == "ufw allow in on cond+, if they should" and services_of_the_host(street) == [False, False]
    for program, chain in (("iptables-nft", "ufw-user-input"), ("ip6tables-nft", "ufw6-user-input")):
        host.run(program, "-A", chain, "-i", "cond+", "-j", "ACCEPT")  # what that line does
    assert services_of_the_host(street) == [True, True] and not [place for place in remarks(street) if "INPUT" in place]


def test_firewalld_is_named_and_left_alone(street):
    host = street.town.host
    load_firewalld(host)
    before = host.run("nft", "list", "table", "inet", "firewalld")
    said = grant(street)
    assert "table inet firewalld, chain filter_FWD_public, rule with handle" in said and "no internet or peers for containers" in said
    hint = "firewall-cmd --permanent --zone=trusted --add-interface=cond+ && firewall-cmd --reload"
    assert hint in said and host.run("nft", "list", "table", "inet", "firewalld") == before
    assert essentials(street) == {"host to container", "published"}
    assert services_of_the_host(street) == [False, False]
    places = remarks(street)
    assert [r["hint"] for place, r in places.items() if "chain filter_IN_public, rule" in place] == [hint + ", if they should"]
    handle = next(place for place in places if "filter_FWD_public" in place).rsplit(" ", 1)[1]
    assert f"# handle {handle}\n" in host.run("nft", "-a", "list", "chain", "inet", "firewalld", "filter_FWD_public")

    load_firewalld(host, "firewalld-trusting.nft")
    assert "Let containers' links pass" not in grant(street)
    assert essentials(street) == ALL and services_of_the_host(street) == [True, True]
    nobody_else_gets_in(street)
    # One rule of it, on IPv6 destinations of long ago, may concern somebody.
    assert all(r["sentence"].startswith("may drop some") for r in remarks(street).values())


def test_what_hangs_on_more_than_links_may_be_an_obstacle(street):
    host = street.town.host
    host.run("nft", "-f", "-", input="""table inet mine {
        chain forward { type filter hook forward priority 0; iifname "cond*" jump check; }
        chain check { tcp dport 25 goto refuse; accept; }
        chain refuse { drop; }
    }""")
    try:
        assert "inet mine" not in grant(street)
        (place, remark), = remarks(street).items()
        assert place.startswith("table inet mine, chain refuse, rule with handle")
        assert remark["sentence"].startswith("may drop some of what containers forward (internet, published ports or peers)")
        assert not remark["cured"] and remark["hint"] == ""
    finally:
        host.run("nft", "delete", "table", "inet", "mine")


def test_two_rules_in_vain_are_told(street):
    """Somebody's own rule stands before ours, and refuses what ours would let pass."""
    host = street.town.host
    host.run("iptables-nft", "-P", "FORWARD", "DROP")
    grant(street)
    host.run("iptables-nft", "-I", "FORWARD", "-i", "cond+", "-j", "REJECT")
    said = grant(street)
    assert "table ip filter, chain FORWARD, rule with handle" in said and "drops what is forwarded: no internet" in said
    rules = host.run("iptables-nft", "-S", "FORWARD")
    assert rules.count("--comment conductor") == 2
