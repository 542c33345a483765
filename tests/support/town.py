"""The neighbourhood of a host, for tests of the network: this namespace plays the host, others play what is around it.

    lan     192.168.50.2      on the host's lan0
    office  192.168.60.2      on the host's office0, a second network of the host
    inet    198.51.100.7      a server behind the host's uplinks eth0 (203.0.113.10) and eth1 (192.0.2.10);
                              it knows no way to private addresses
All have IPv6 as well. Everyone serves TCP and UDP on port 7000.
"""
from .namespaces import Namespace, Servers, cable, ping
from .waiting import wait_until

SERVICE = 7000


class Town:
    LAN, LAN6 = "192.168.50.2", "2001:db8:50::2"
    HOST_ON_LAN, HOST_ON_LAN6 = "192.168.50.1", "2001:db8:50::1"
    OFFICE, OFFICE6 = "192.168.60.2", "2001:db8:60::2"
    INET, INET6 = "198.51.100.7", "2001:db8:f::7"
    HOST_OUTSIDE, HOST_OUTSIDE6 = "203.0.113.10", "2001:db8:a::10"
    HOST_OUTSIDE_LATER, HOST_OUTSIDE_LATER6 = "192.0.2.10", "2001:db8:b::10"

    def __init__(self, mtu=1500):
        self.host = Namespace.own("host")
        self.lan, self.office, self.inet = (Namespace.new(n) for n in ("lan", "office", "inet"))
        self.servers = Servers()
        host = self.host
        # No test waits for the kernel's thrift with its own messages.
        for space in (host, self.lan, self.office, self.inet):
            space.write("net/ipv4/icmp_ratelimit", "0")
            space.write("net/ipv6/icmp/ratelimit", "0")
            space.write("net/ipv6/conf/default/accept_dad", "0")
        self.before = {name: host.read(name) for name in ("net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter",
                                                          "net/ipv4/conf/default/rp_filter")}
        host.write("net/ipv4/ip_forward", "0")
        cable(host, "lan0", self.lan, "eth0", ["192.168.50.1/24", "2001:db8:50::1/64"], [f"{self.LAN}/24", f"{self.LAN6}/64"])
        cable(host, "office0", self.office, "eth0", ["192.168.60.1/24", "2001:db8:60::1/64"],
              [f"{self.OFFICE}/24", f"{self.OFFICE6}/64"])
        cable(host, "eth0", self.inet, "up0", ["203.0.113.10/24", "2001:db8:a::10/64"], ["203.0.113.1/24", "2001:db8:a::1/64"], mtu)
        cable(host, "eth1", self.inet, "up1", ["192.0.2.10/24", "2001:db8:b::10/64"], ["192.0.2.1/24", "2001:db8:b::1/64"], mtu)
        self.lan.ip("route add default via 192.168.50.1", "route add ::/0 via 2001:db8:50::1")
        self.office.ip("route add default via 192.168.60.1", "route add ::/0 via 2001:db8:60::1")
        self.inet.ip(f"address add {self.INET}/32 dev lo", f"address add {self.INET6}/128 dev lo nodad")
        host.ip("route add default via 203.0.113.1", "route add ::/0 via 2001:db8:a::1")
        for space in (host, self.lan, self.office, self.inet):
            self.servers.add(space, SERVICE)
        for address in (self.LAN, self.LAN6, self.OFFICE, self.OFFICE6, self.INET, self.INET6):
            wait_until(lambda: ping(host, address, 0.3).word == "ok", 10, lambda: f"{address} answers")

    def move_default_route(self):
        self.host.ip("route replace default via 192.0.2.1", "route replace ::/0 via 2001:db8:b::1")

    def close(self):
        self.servers.close()
        for link in ("lan0", "office0", "eth0", "eth1"):
            self.host.run("ip", "link", "del", link, check=False)
        for name, value in self.before.items():
            self.host.write(name, value)
        for space in (self.lan, self.office, self.inet, self.host):
            space.close()
