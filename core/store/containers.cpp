#include "core/store/containers.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/base/undo.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"
#include "core/store/workshop.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <unistd.h>

namespace conductor {
namespace {

using namespace kernel;

constexpr size_t file_limit = 4 << 20;
constexpr size_t id_digits = 32;
constexpr size_t least_digits = 8;

std::string directory_of(const std::string& id) { return "containers/id/" + id; }
std::string name_path(const std::string& name) { return "containers/name/" + name; }
std::string link_target(const std::string& id) { return "../id/" + id; }

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }
bool is_id(std::string_view text) { return text.size() == id_digits && is_hex(text); }

// The id a name's link points at; none when there is no such name, or it is no link of ours.
std::optional<std::string> linked_id(int root, const std::string& name)
{
  const auto target = read_link(root, name_path(name));
  if (!target || !target->starts_with("../id/")) return std::nullopt;
  std::string id = target->substr(6);
  return is_id(id) ? std::optional{std::move(id)} : std::nullopt;
}

// Names change under the root's lock only, held for microseconds: so a name that points at nothing is a leftover there,
// never one that is being made.
Lock names_lock(const Root& root, std::string_view verb)
{
  return Lock{root.dir(), "lock", verb, std::chrono::seconds{10}, "the table of names"};
}

// Is that still the name of that container? A `rename` that was killed leaves two that lead to it.
bool is_called(const Root& root, const std::string& id, const std::string& name)
{
  try {
    const auto container = Containers{root}.find(id);
    return container && container->spec.name == name;
  } catch (const Error&) { // damaged; its name is found by its link alone
    return true;
  }
}

void take_name(const Root& root, const std::string& name, const std::string& id)
{
  if (make_symlink(root.trace(), link_target(id), root.dir(), name_path(name))) return;
  if (const auto other = linked_id(root.dir(), name); other && *other != id && is_called(root, *other, name))
    // The number is for whoever chose the name and can choose another; the sentence says it already.
    throw Error::relayed("a container named '" + name + "' exists already", EEXIST,
                         "take another name, or remove it: conductor rm " + name, 1);
  replace_symlink(root.trace(), link_target(id), root.dir(), name_path(name));
}

void give_name_back(const Root& root, const std::string& name, const std::string& id)
{
  if (linked_id(root.dir(), name) == id) remove_file(root.trace(), root.dir(), name_path(name));
}

std::string resolve_id(const std::vector<std::string>& ids, std::string_view digits)
{
  if (digits.size() < least_digits || digits.size() > id_digits || !is_hex(digits))
    throw usage_error("'id:" + visible(digits) + "' is no container id", "id: and 8 to 32 hexadecimal digits");
  const auto begins = [&](const std::string& id) { return id.starts_with(digits); };
  const auto first = std::find_if(ids.begin(), ids.end(), begins);
  if (first == ids.end())
    throw Error{"no container with the id " + std::string{digits}, 0, "conductor ps -a lists all"};
  if (std::any_of(first + 1, ids.end(), begins))
    throw Error{"more than one container has an id that begins with " + std::string{digits}, 0, "give more digits"};
  return *first;
}

} // namespace

std::vector<std::string> Containers::ids() const
{
  std::vector<std::string> names = list_directory(root_.dir(), "containers/id");
  std::erase_if(names, [](const std::string& name) { return !is_id(name); });
  return names;
}

std::vector<Container> Containers::list() const
{
  std::vector<Container> all;
  for (const std::string& id : ids()) {
    try {
      if (auto container = find(id)) all.push_back(std::move(*container));
    } catch (const Error& error) { // one damaged file must not hide all the others
      root_.trace().notice(error.what());
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Container& a, const Container& b) { return a.spec.created_ns < b.spec.created_ns; });
  return all;
}

std::string Containers::resolve(std::string_view name) const
{
  constexpr std::string_view id_mark = "id:";
  if (name.starts_with(id_mark)) return resolve_id(ids(), name.substr(id_mark.size()));
  check_name(name);
  if (auto id = find_name(std::string{name})) return *id;
  const auto names = list_directory(root_.dir(), "containers/name");
  std::string hint = nearest_hint(name, names);
  throw Error{"no container named '" + std::string{name} + "'", 0,
              hint.empty() ? "conductor ps -a lists all" : std::move(hint)};
}

std::optional<std::string> Containers::find_name(const std::string& name) const
{
  auto id = linked_id(root_.dir(), name);
  if (id && !exists(root_.dir(), directory_of(*id))) return std::nullopt;
  return id;
}

bool Containers::is_taken(const std::string& name) const
{
  const auto id = linked_id(root_.dir(), name);
  return id && is_called(root_, *id, name);
}

std::string Containers::name_of(const std::string& id) const
{
  for (std::string& name : list_directory(root_.dir(), "containers/name"))
    if (linked_id(root_.dir(), name) == id) return std::move(name);
  return {};
}

std::optional<Container> Containers::find(const std::string& id) const
{
  if (!is_id(id)) return std::nullopt;
  const std::string directory = directory_of(id);
  std::string file = "spec.json";
  try {
    auto spec = find_content(root_.dir(), directory + "/" + file, file_limit);
    if (!spec) {
      // It comes and goes with its directory at one stroke; where that is, we may have looked a moment too early.
      if (!exists(root_.dir(), directory)) return std::nullopt;
      spec = find_content(root_.dir(), directory + "/" + file, file_limit);
      if (!spec && !exists(root_.dir(), directory)) return std::nullopt;
      if (!spec) throw Error{"there is no such file"};
    }
    Container container{spec_from_json(*spec), {}};
    if (container.spec.id != id) throw Error{"field 'id' is another container's"};
    file = "status.json";
    if (const auto status = find_content(root_.dir(), directory + "/" + file, file_limit))
      container.status = status_from_json(*status);
    return container;
  } catch (const Error& error) {
    throw error.within("cannot read '" + root_.path() + "/" + directory + "/" + file + "'")
        .with_hint("mend the file, or give the container up: conductor rm -f id:" + id.substr(0, 12));
  }
}

Container Containers::load(const std::string& id) const
{
  if (auto container = find(id)) return std::move(*container);
  throw Error{"the container with the id " + visible(id) + " is gone", 0, "conductor ps -a lists all"};
}

void Containers::create(const Spec& spec) const
{
  check_spec(spec);
  if (!is_id(spec.id)) throw Error{"'" + visible(spec.id) + "' is no container id"};
  Trace& trace = root_.trace();
  const std::string made = "tmp/container-" + spec.id;
  Undo undo{trace};

  const Fd directory = make_being_made(root_, made);
  undo.push("remove what was made of the container", [&] { remove_tree(trace, root_.dir(), made); });
  const Lock being_made{directory.get(), "lock", "create", std::chrono::seconds{1}, "the new container"};
  make_directory(trace, directory.get(), "rw", 0700);
  make_directory(trace, directory.get(), "log", 0700);
  // No status.json: it was never started.
  write_file(trace, directory.get(), "spec.json", to_json(spec));

  const Lock names = names_lock(root_, "create");
  take_name(root_, spec.name, spec.id);
  undo.push("give the name back", [&] { give_name_back(root_, spec.name, spec.id); });
  rename_entry(trace, root_.dir(), made, root_.dir(), directory_of(spec.id), RENAME_NOREPLACE);
  undo.commit();
}

void Containers::save_spec(const Spec& spec) const
{
  write_file(root_.trace(), root_.dir(), directory_of(spec.id) + "/spec.json", to_json(spec));
}

void Containers::save_status(const std::string& id, const Status& status) const
{
  write_file(root_.trace(), root_.dir(), directory_of(id) + "/status.json", to_json(status));
}

namespace {

constexpr size_t place_size = 4096;

std::string end_path(const std::string& id) { return "c/" + id + "/end"; }

// Always all of the place, so that it is there on the disk or in memory, and nothing of an older text stays.
std::string filling_the_place(std::string text)
{
  if (text.size() > place_size) throw Error{"write down the end of a container", EFBIG};
  text.resize(place_size, ' ');
  return text;
}

} // namespace

void Containers::keep_place_for_end(const std::string& id, const Status& running) const
{
  write_file(root_.trace(), root_.run(), end_path(id), filling_the_place(to_json(running)));
}

void Containers::record_end(const std::string& id, const Status& ended) const
{
  if (!exists(root_.run(), end_path(id))) return;
  try {
    write_value(root_.trace(), root_.run(), end_path(id), filling_the_place(to_json(ended)));
  } catch (const Error&) {
    try {
      remove_file(root_.trace(), root_.run(), end_path(id));
    } catch (const Error& error) {
      root_.trace().notice(error.sentence());
    }
  }
}

std::optional<Status> Containers::find_end(const std::string& id) const
{
  const auto text = find_content(root_.run(), end_path(id), place_size);
  if (!text) return std::nullopt;
  try {
    return status_from_json(*text);
  } catch (const Error&) { // half-written
    return std::nullopt;
  }
}

void Containers::rename(const std::string& id, const std::string& from, const std::string& to) const
{
  check_name(to);
  const Lock names = names_lock(root_, "rename");
  const Spec before = load(id).spec;
  Spec spec = before;
  Undo undo{root_.trace()};
  take_name(root_, to, id);
  if (from != to) undo.push("give the new name back", [&] { give_name_back(root_, to, id); });
  if (spec.hostname == spec.name) spec.hostname = to;
  spec.name = to;
  save_spec(spec);
  undo.push("its old name counts again", [&] { save_spec(before); });
  if (from != to) give_name_back(root_, from, id);
  undo.commit();
}

namespace {

// Started and stopped without a trace in its layer.
bool wrote_nothing(const Root& root, const std::string& doomed)
{
  const auto upper = find_directory(root.dir(), doomed + "/rw/upper");
  return upper && !exists(root.dir(), doomed + "/volumes") && list_directory(upper->get(), ".").empty();
}

// The last container takes the groups of its root along, which is possible only when its keeper has left them.
void clean(const Root& root, const std::string& doomed, std::chrono::milliseconds patience)
{
  Trace& trace = root.trace();
  const Containers containers{root};
  remove_tree(trace, root.dir(), doomed);
  if (containers.ids().empty() && is_in_cgroup_of(root.id())) leave_cgroups(trace);
  containers.leave_no_groups(patience);
}

// What is left to do behind the verb, by a process that outlives it. A dozen empty directories free no space that
// anybody waits for, but on a file system that discards freed blocks at once (mount -o discard) each one waits for the
// device: most of the time of a short `run --rm`. And the mount namespace that the keeper still holds waits for RCU
// when it goes. Should the process be killed, `doctor` and the next build find what is left.
void clean_behind(const Root& root, const std::string& doomed)
{
  Trace& trace = root.trace();
  const auto parent = open_pidfd(::getpid());
  // Its own calls come when the verb has ended and nobody listens any more, so what they will be is told here.
  const std::string what = "what removes " + root.path() + "/" + doomed + " behind us";
  std::optional<Child> child;
  try {
    child = clone_process(trace, {}, what.c_str());
  } catch (
      const Error&) { // no process left, or stopped: the container is gone already, so this must not wait for doctor
    return clean(root, doomed, std::chrono::milliseconds{0});
  }
  if (child) {
    child->release();
    return;
  }
  try {
    leave_session(trace);
    pollfd watched{parent ? parent->get() : -1, POLLIN, 0};
    ::poll(&watched, 1, 200); // whoever closes a namespace last waits for it, and that shall not be our parent
    close_descriptors_except({root.dir()});
    clean(root, doomed, std::chrono::seconds{2});
  } catch (...) { // it is found again; and nothing may lead from here into the verb's own way back
  }
  ::_exit(0);
}

} // namespace

void Containers::remove(const std::string& id, const std::string& name) const
{
  if (!is_id(id)) throw Error{"'" + visible(id) + "' is no container id"};
  Trace& trace = root_.trace();
  std::optional<Error> failed;
  const auto attempt = [&](const auto& step) {
    try {
      step();
    } catch (const Error& error) {
      if (!failed) failed = error;
    }
  };
  // Out of sight at one stroke, then taken apart: nobody ever finds half a container.
  const std::string doomed = "tmp/removed-" + id;
  {
    const Lock names = names_lock(root_, "rm");
    try {
      rename_entry(trace, root_.dir(), directory_of(id), root_.dir(), doomed);
    } catch (const Error& error) {
      if (error.number() == EEXIST || error.number() == ENOTEMPTY) {
        remove_tree(trace, root_.dir(), doomed); // a removal that was killed half-way
        rename_entry(trace, root_.dir(), directory_of(id), root_.dir(), doomed);
      } else if (error.number() != ENOENT) {
        throw;
      }
    }
    // From here on it is gone for everybody, so a step that fails must not keep the others from their part.
    if (!name.empty()) attempt([&] { give_name_back(root_, name, id); });
  }
  attempt([&] { remove_tree(trace, root_.run(), "c/" + id); });
  const bool behind = wrote_nothing(root_, doomed);
  if (!behind) attempt([&] { remove_tree(trace, root_.dir(), doomed); });
  const bool last = ids().empty();
  if (behind || (last && !cgroup_leaves(root_.id()).empty()))
    attempt([&] { clean_behind(root_, doomed); });
  else if (last) // nobody is in the way: a foreground run keeps its container from outside the groups of the root
    attempt([&] { leave_no_groups(std::chrono::milliseconds{0}); });
  if (failed) throw Error{*failed};
}

void Containers::leave_no_groups(std::chrono::milliseconds patience) const
{
  const uint64_t deadline = monotonic_us() + static_cast<uint64_t>(patience.count()) * 1000;
  while (ids().empty() && !cgroup_members(root_.id(), keepers_leaf).empty() && monotonic_us() < deadline)
    ::poll(nullptr, 0, 2);
  if (!ids().empty()) return;
  // Under this lock no container comes to be, and so no keeper that would be born in a group that we take away.
  const Lock names = names_lock(root_, "rm");
  if (ids().empty()) remove_empty_parents(root_.trace(), root_.id());
}

Fd Containers::directory(const std::string& id) const { return open_directory(root_.dir(), directory_of(id)); }

Fd Containers::run_directory(const std::string& id) const
{
  const std::string path = "c/" + id;
  if (auto found = find_directory(root_.run(), path)) return std::move(*found);
  make_directories(root_.trace(), root_.run(), path, 0700);
  return open_directory(root_.run(), path);
}

} // namespace conductor
