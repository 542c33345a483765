// The links of one root's containers: what each wants, told to the network, and what the others must know of it.
//
// The kernel's side is the Network's (core/network.h). Here is what holds it together with the store: the number that a
// link has, who its peers are now, the mark that it is there, and the names that its container finds. All of it happens
// under one lock, so that two that start at once do not overlook each other.
#pragma once

#include "core/container/network_wish.h"
#include "core/network.h"
#include "core/store/containers.h"
#include "core/store/root.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

// Whose link it is: a container, or a step of a build.
struct LinkOwner {
  std::string id, name, hostname;
  bool is_step = false;
  static LinkOwner of(const Spec& spec) { return {.id = spec.id, .name = spec.name, .hostname = spec.hostname}; }
};

// The mark of a link that is there: run/c/<id>/link, a symlink to "7 10.83.0.0 fd83::". It goes with the boot.
struct Link {
  LinkIndex index = 0;
  Subnet subnet;
};
std::optional<Link> find_link(const Root& root, const std::string& id);

// How a container is connected, for those who tell of it.
struct LinkView {
  std::optional<Link> link; // none while it does not run
  bool internet = false;
  std::vector<PublishedPort> published;
  std::vector<std::string> peers; // names, in order
};
inline constexpr const char* link_inside = "eth0";
std::string link_outside(LinkIndex index); // "cond7"
// None for one that wants no link. A damaged wish is told as a notice and is none.
std::optional<LinkView> view_link(const Root& root, const Spec& spec);

class Links {
public:
  // verb: written into the lock. pool: the configured one, empty for the built-in choice. All must outlive it.
  Links(const Root& root, Network& network, std::string pool, std::string verb);

  // Held by whoever calls what follows, and by whoever changes a wish. The last of all locks.
  Lock lock() const;

  // Gives the owner of this network namespace its link, and names to its files. Its peers learn of it. Throws Error;
  // then nothing of it is left but the number, which a container keeps.
  void attach(const LinkOwner& owner, NetworkWish wish, int namespace_fd);
  // Permissions and names of one that has a link, as its wish says, which was `before`. False when there is none: it
  // has ended, or who may do that in the container (CAP_NET_ADMIN) took it away.
  bool change(const LinkOwner& owner, const NetworkWish& wish, const NetworkWish& before);
  // Idempotent. The wish stays, and so does the number. namespace_fd: of a container that runs on (core/network.h).
  void detach(const std::string& id, LinkEnd end, int namespace_fd = -1);
  // Those of these containers that have a link learn who of their peers is there now: permissions and names.
  void tell(const std::vector<std::string>& ids);
  // For one that has ended: takes the lock and detaches it. Never fails: what cannot be taken away now is told, and
  // found by the next command.
  void leave(const std::string& id);
  // Gives the numbers back, of one that will not come again.
  void release(const std::string& id);

  // Throws Error where another container that runs, or a process of the host, has one of these ports already.
  void check_ports(const LinkOwner& owner, const std::vector<PublishedPort>& ports);
  // The kernel as it ought to be, after somebody flushed or changed it. What had to be mended, in words.
  std::vector<std::string> repair();
  // Links of this root in the kernel that no container is noted to have, and whose they were: a verb was killed between
  // making and noting one, or the run directory was lost. Their containers may run on.
  std::map<LinkIndex, std::string> unnoted() const;
  void remove_unnoted();
  // Is there any link of this root?
  bool any() const;

private:
  struct Peer {
    std::string id;
    std::string name, hostname;
    LinkIndex index = 0;
  };
  std::vector<Peer> peers_of(const std::string& id, const NetworkWish& wish) const;
  // Those of these that have a link, by their numbers alone; whether they agreed to be peers does not matter.
  std::vector<Peer> linked(const std::vector<std::string>& ids) const;
  WantedLink wanted(const LinkOwner& owner, const NetworkWish& wish, const std::vector<Peer>& peers) const;
  void write_hosts(const LinkOwner& owner, const Link& link, const std::vector<Peer>& peers) const;
  void write_names(const LinkOwner& owner, const NetworkWish& wish, const Link& link, const std::vector<Peer>& peers);
  std::string resolver_for(const LinkOwner& owner, const NetworkWish& wish, const Subnet& subnet);

  const Root& root_;
  Network& network_;
  std::string pool_, verb_;
};

} // namespace conductor
