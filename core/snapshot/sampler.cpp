#include "core/snapshot/sampler.h"

#include "core/base/error.h"
#include "core/kernel/process.h"
#include "core/snapshot/details_reader.h"
#include "core/snapshot/group_reader.h"
#include "core/snapshot/host_reader.h"
#include "core/snapshot/network_reader.h"
#include "core/snapshot/read_text.h"
#include "core/snapshot/watch.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <set>

#include <sys/epoll.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr uint64_t least_interval_us = 900'000;    // shorter ones would measure the noise of the clock tick
constexpr uint64_t hidden_interval_us = 4'900'000; // for containers that nobody sees
constexpr size_t most_events = 500;
constexpr size_t most_open_groups = 48; // of eight files each: well below the usual limit of 1024

// A container that we know, and what was measured of it.
struct Member {
  std::shared_ptr<const Container> stored;
  std::string problem; // why it cannot be read
  bool alive = false;  // its PID 1 runs
  Fd pidfd;            // readable when it ends
  GroupReader group;
  std::optional<GroupReading> before;
  uint64_t measured_us = 0;
  bool measured = false;
  Figures figures;
  History history;
  std::shared_ptr<const LinkView> link;
  std::optional<Health> health;
};

bool says_it_runs(const Status& status) { return status.state == State::running || status.state == State::paused; }

uint64_t uptime_of(const Status& status)
{
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  static const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  const uint64_t began = status.pid_start / ticks;
  const auto seconds = static_cast<uint64_t>(now.tv_sec);
  return seconds - std::min(seconds, began);
}

} // namespace

struct Sampler::State {
  State(const Root& root_directory, Network& links)
      : root(root_directory), network(links), containers(root_directory), watch(root_directory),
        journal(root_directory), epoll(::epoll_create1(EPOLL_CLOEXEC))
  {
    wake_on(watch.fd());
  }

  void wake_on(int fd) const;
  void read_stored();
  void load(const std::string& id);
  void forget_removed(const std::vector<std::string>& ids);
  void check_alive(Member& member) const;
  void notice_ends();
  void read_images();
  void read_events();
  void read_links(bool is_changed);
  bool measure(const SampleWish& wish);
  void measure_traffic(uint64_t now);
  void read_health(const std::string& selected);
  void measure_one(const std::string& id, Member& member, uint64_t now, bool keep_open);
  void read_details(const std::string& selected, bool is_time);
  ContainerPicture picture(const Member& member) const;

  const Root& root;
  Network& network;
  Containers containers;
  Watch watch;
  JournalTail journal;
  Fd epoll;
  TextReader text;

  bool began = false;
  std::map<std::string, Member> members; // by id
  std::vector<std::pair<Image, uint64_t>> images;
  std::shared_ptr<const std::vector<ImagePicture>> image_pictures = std::make_shared<std::vector<ImagePicture>>();
  std::shared_ptr<const std::vector<JournalEntry>> events = std::make_shared<std::vector<JournalEntry>>();

  HostReader host;
  HostPicture host_picture;
  uint64_t measured_us = 0;
  struct TrafficOf {
    Traffic counters;
    double rx_rate = 0, tx_rate = 0;
  };
  std::map<std::string, TrafficOf> traffic; // by container id
  uint64_t traffic_us = 0;
  NetworkReader network_reader;
  std::optional<DetailsReader> details;
};

void Sampler::State::wake_on(int fd) const
{
  if (fd < 0 || !epoll) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
}

// ---- what is stored

void Sampler::State::check_alive(Member& member) const
{
  const Status& status = member.stored->status;
  member.pidfd.reset();
  member.alive = false;
  if (!says_it_runs(status) || status.boot_id != kernel::boot_id() || status.pid <= 0) return;
  // The pidfd first: afterwards the number cannot become another process's unseen.
  auto pidfd = kernel::open_pidfd(status.pid);
  member.alive = kernel::is_alive(status.pid, status.pid_start);
  if (!member.alive || !pidfd) return;
  member.pidfd = std::move(*pidfd);
  wake_on(member.pidfd.get());
}

void Sampler::State::load(const std::string& id)
{
  watch.follow(id); // before it is read, so that no change falls between
  try {
    auto found = containers.find(id);
    if (!found) { // half removed
      members.erase(id);
      return;
    }
    Member& member = members[id];
    const bool same_life = member.stored && member.stored->status.pid == found->status.pid &&
                           member.stored->status.pid_start == found->status.pid_start;
    member.problem.clear();
    member.stored = std::make_shared<const Container>(std::move(*found));
    check_alive(member);
    if (same_life && member.alive) return;
    member.group = {};
    member.before.reset();
    member.measured_us = 0;
    member.measured = false;
    member.figures = {};
  } catch (const Error& error) {
    members[id].problem = error.what();
  }
}

void Sampler::State::forget_removed(const std::vector<std::string>& ids)
{
  std::erase_if(members, [&](const auto& entry) { return !std::binary_search(ids.begin(), ids.end(), entry.first); });
}

void Sampler::State::read_stored()
{
  Watch::Changes changes = watch.drain();
  changes.everything = changes.everything || !began;
  began = true;
  if (changes.everything || changes.list) {
    const std::vector<std::string> ids = containers.ids(); // sorted
    forget_removed(ids);
    for (const std::string& id : ids)
      if (changes.everything || !members.contains(id)) changes.containers.insert(id);
  }
  for (const std::string& id : changes.containers) load(id);
  read_links(changes.everything || changes.list || changes.journal || !changes.containers.empty());
  if (changes.everything || changes.images) {
    images.clear();
    const Images all{root};
    for (Image& image : all.list()) {
      const uint64_t size = all.size(image);
      images.emplace_back(std::move(image), size);
    }
  }
  if (changes.everything || changes.images || changes.list) read_images();
  if (changes.everything || changes.journal) read_events();
}

// What one wants says nothing without what its peers want, so a change of any means to look at all that have a link.
void Sampler::State::read_links(bool is_changed)
{
  if (!is_changed) return;
  for (auto& [id, member] : members) {
    auto view = member.stored ? view_link(root, member.stored->spec) : std::nullopt;
    member.link = view ? std::make_shared<const LinkView>(std::move(*view)) : nullptr;
  }
}

void Sampler::State::read_images()
{
  auto pictures = std::make_shared<std::vector<ImagePicture>>();
  for (const auto& [image, size] : images) {
    ImagePicture picture{.image = image, .size_bytes = size};
    for (const auto& [id, member] : members)
      if (member.stored && member.stored->spec.image_id == image.id)
        picture.used_by.push_back(member.stored->spec.name);
    std::sort(picture.used_by.begin(), picture.used_by.end());
    pictures->push_back(std::move(picture));
  }
  image_pictures = std::move(pictures);
}

void Sampler::State::read_events()
{
  const std::vector<JournalEntry> fresh = journal.next(most_events);
  if (fresh.empty()) return;
  const size_t kept = std::min(events->size(), most_events - fresh.size());
  auto all =
      std::make_shared<std::vector<JournalEntry>>(events->end() - static_cast<std::ptrdiff_t>(kept), events->end());
  all->insert(all->end(), fresh.begin(), fresh.end());
  events = std::move(all);
}

void Sampler::State::notice_ends()
{
  std::array<epoll_event, 64> ready{};
  bool more = static_cast<bool>(epoll);
  while (more) {
    const int count = ::epoll_wait(epoll.get(), ready.data(), static_cast<int>(ready.size()), 0);
    more = count == static_cast<int>(ready.size());
    for (int index = 0; index < count; ++index) {
      const int fd = ready[static_cast<size_t>(index)].data.fd;
      for (auto& [id, member] : members) {
        if (member.pidfd.get() != fd) continue;
        member.alive = false;
        member.pidfd.reset(); // leaves the epoll, which is quiet again
      }
    }
  }
  for (auto& [id, member] : members) {
    if (!member.alive || member.pidfd) continue; // too many files are open for a pidfd: ask
    const Status& status = member.stored->status;
    member.alive = kernel::is_alive(status.pid, status.pid_start);
  }
}

// Changes of state are told by the journal; a check that changes nothing is seen at the next measurement.
void Sampler::State::read_health(const std::string& selected)
{
  for (auto& [id, member] : members) {
    if (!member.stored || !member.stored->spec.health) continue;
    member.health.reset();
    if (member.alive) member.health = (id == selected ? find_health : find_health_state)(root, *member.stored);
  }
}

// ---- what is measured

void Sampler::State::measure_traffic(uint64_t now)
{
  const uint64_t passed = traffic_us == 0 ? 0 : now - traffic_us;
  traffic_us = now;
  std::map<std::string, TrafficOf> before = std::move(traffic);
  traffic.clear();
  try {
    for (Traffic& counters : network.traffic(root.id())) {
      TrafficOf& one = traffic[counters.container_id];
      one.counters.rx_bytes += counters.rx_bytes;
      one.counters.tx_bytes += counters.tx_bytes;
    }
  } catch (const Error&) { // without rtnetlink there are no rates, and the rest is shown all the same
    return;
  }
  for (auto& [id, one] : traffic) {
    const auto old = before.find(id);
    if (old == before.end()) continue;
    one.rx_rate = rate_between(old->second.counters.rx_bytes, one.counters.rx_bytes, passed);
    one.tx_rate = rate_between(old->second.counters.tx_bytes, one.counters.tx_bytes, passed);
  }
}

void Sampler::State::measure_one(const std::string& id, Member& member, uint64_t now, bool keep_open)
{
  if (!member.group) member.group = GroupReader{root.id(), id};
  const auto reading = member.group.read(text);
  if (!keep_open) member.group = {};
  if (!reading) return;
  member.figures = member.before ? figures_between(*member.before, *reading) : reading->figures;
  if (member.before)
    member.history.push(static_cast<float>(member.figures.cpu_percent),
                        history_steps(reading->time_us - member.before->time_us));
  member.before = reading;
  member.measured_us = now;
  member.measured = true;
}

bool Sampler::State::measure(const SampleWish& wish)
{
  const uint64_t now = monotonic_us();
  const bool is_time = now - measured_us >= least_interval_us;
  if (is_time) {
    measured_us = now;
    host_picture = host.read(text);
    measure_traffic(now);
    std::map<LinkIndex, std::string> ids;
    for (const auto& [id, member] : members)
      if (member.link && member.link->link) ids.emplace(member.link->link->index, id);
    network_reader.read(network, ids, now);
  }
  const std::set<std::string> visible{wish.visible.begin(), wish.visible.end()};
  size_t open_groups = 0;
  for (auto& [id, member] : members) {
    if (!member.alive) continue;
    const bool is_visible = visible.empty() || visible.contains(id) || id == wish.selected;
    const uint64_t age = now - member.measured_us;
    // A container that has just started shows its figures at once, not a second later.
    const bool due = !member.measured || (is_time && age >= (is_visible ? least_interval_us : hidden_interval_us));
    const bool keep_open = is_visible && ++open_groups <= most_open_groups;
    if (due) measure_one(id, member, now, keep_open);
  }
  return is_time;
}

void Sampler::State::read_details(const std::string& selected, bool is_time)
{
  const auto found = members.find(selected);
  if (found == members.end() || !found->second.alive) {
    details.reset();
    return;
  }
  const Container& container = *found->second.stored;
  const bool is_new = !details || !details->is_of(container);
  if (is_new) details.emplace(root.id(), container);
  if (is_new || is_time) details->read(network, text);
}

ContainerPicture Sampler::State::picture(const Member& member) const
{
  const Status& status = member.stored->status;
  ContainerPicture picture{.stored = member.stored, .state = status.state, .why = status.why};
  picture.cpu_history = member.history;
  picture.link = member.link;
  picture.health = member.health;
  if (!says_it_runs(status)) return picture;
  if (!member.alive) {
    // The store will say so as soon as its keeper, or the next command, has noted it.
    picture.state = conductor::State::exited;
    if (picture.why.empty()) picture.why = status.boot_id == kernel::boot_id() ? "ended" : "host restarted";
    return picture;
  }
  picture.uptime_seconds = uptime_of(status);
  picture.measured = member.measured;
  picture.figures = member.figures;
  if (const auto found = traffic.find(member.stored->spec.id); found != traffic.end()) {
    picture.figures.rx_bytes = found->second.counters.rx_bytes;
    picture.figures.tx_bytes = found->second.counters.tx_bytes;
    picture.figures.rx_rate = found->second.rx_rate;
    picture.figures.tx_rate = found->second.tx_rate;
  }
  return picture;
}

// ---- the public face

Sampler::Sampler(const Root& root, Network& network) : state_(std::make_unique<State>(root, network)) {}
Sampler::~Sampler() = default;

int Sampler::fd() const { return state_->watch.fd() < 0 ? -1 : state_->epoll.get(); }

std::shared_ptr<const Snapshot> Sampler::sample(const SampleWish& wish)
{
  State& state = *state_;
  state.read_stored();
  state.notice_ends();
  const bool is_time = state.measure(wish);
  state.read_health(wish.selected);
  state.read_details(wish.selected, is_time);

  auto snapshot = std::make_shared<Snapshot>();
  snapshot->time_ns = realtime_ns();
  snapshot->time_us = monotonic_us();
  snapshot->host = state.host_picture;
  snapshot->containers.reserve(state.members.size());
  for (const auto& [id, member] : state.members) {
    if (!member.problem.empty()) snapshot->problems.push_back(member.problem);
    if (member.stored) snapshot->containers.push_back(state.picture(member));
  }
  std::stable_sort(
      snapshot->containers.begin(), snapshot->containers.end(),
      [](const ContainerPicture& a, const ContainerPicture& b) { return a.spec().created_ns < b.spec().created_ns; });
  snapshot->images = state.image_pictures;
  snapshot->events = state.events;
  snapshot->network = state.network_reader.picture();
  if (state.details) snapshot->details = state.details->details();
  return snapshot;
}

} // namespace conductor
