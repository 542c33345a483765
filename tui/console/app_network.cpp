// What the rows about the network do: forms that say before Enter what will be reachable, what takes it back, and the
// watch over refusals and over rules that somebody else took away.
#include "tui/console/app.h"

#include "core/base/error.h"
#include "core/container/ports.h"

#include <fmt/format.h>

#include <algorithm>

namespace conductor::console {

using command::Action;

namespace {

constexpr std::size_t most_told = 3; // refusals at once in the message line; the map has them all

std::string object(const std::string& id) { return "id:" + id; }

std::string line_of(const std::vector<std::string>& words)
{
  constexpr std::string_view program = "conductor ";
  return command_line(words).substr(program.size());
}

void append_ports(std::vector<std::string>& words, const std::vector<PublishedPort>& ports)
{
  for (std::string& text : port_texts(ports)) words.insert(words.end(), {"--expose", std::move(text)});
}

// What was typed the last time, where it still makes sense.
void recall(std::vector<Field>& fields, const std::vector<std::string>& last)
{
  for (std::size_t i = 0; i < std::min(fields.size(), last.size()); ++i) {
    Field& field = fields[i];
    const bool possible = field.choices.empty() ? !field.check || field.check(last[i]).empty()
                                                : std::count(field.choices.begin(), field.choices.end(), last[i]) > 0;
    if (possible && !last[i].empty()) field.value = last[i];
  }
}

} // namespace

// ---- tabs

void App::step_tab(int by)
{
  const auto count = static_cast<int>(tabs.size());
  tab_ = (tab_ + by + count) % count;
}

void App::do_next_tab(const Action&, const Key&) { step_tab(1); }
void App::do_previous_tab(const Action&, const Key&) { step_tab(-1); }

// ---- watching

void App::watch_network(const Snapshot& snapshot)
{
  std::size_t told = 0;
  for (const RefusalPicture& refusal : refusals_.look(snapshot.network, snapshot.time_us))
    if (!is_allowed_now(snapshot, refusal) && told++ < most_told) say(Role::warning, refusal_text(snapshot, refusal));
  if (snapshot.network.rules_missing && !mending_ && !options_.read_only) mend_network();
  mending_ = snapshot.network.rules_missing;
}

// Any verb of the network puts right what it finds; this one does nothing else. It says what it mended.
void App::mend_network()
{
  say(Role::bad, "somebody took away the rules that keep containers apart; putting them back");
  try {
    start_job("mend the network", {"networks"});
  } catch (const Error& error) {
    say(Role::message_bad, std::string{error.sentence()});
  }
}

// Asked with every key in a form, so an answer of the kernel counts as long as the form is open.
std::string App::who_has(const PublishedPort& port)
{
  if (world_.snapshot)
    for (const auto& each : world_.snapshot->containers) {
      if (!each.link || !each.link->link) continue;
      for (const PublishedPort& other : each.link->published)
        if (collide(other, port))
          return fmt::format("port {} of the host leads to '{}' already", outer_text(other), each.spec().name);
    }
  const auto [answer, is_new] = port_answers_.try_emplace(outer_text(port));
  if (!is_new) return answer->second;
  try {
    if (!network_) network_ = options_.place.make_network(trace_);
    if (const auto listener = network_->listener(port))
      answer->second =
          fmt::format("port {} of the host is taken: '{}'{} listens on {}", outer_text(port),
                      listener->name.empty() ? "a process" : listener->name,
                      listener->pid == 0 ? "" : fmt::format(" (process {})", listener->pid), listener->address);
  } catch (const Error&) {
    // The verb asks again, and says why it cannot.
  }
  return answer->second;
}

// ---- changing

void App::change_network(const std::string& title, std::vector<std::string> arguments, Undo back)
{
  try {
    start_job(title, std::move(arguments), [this, back = std::move(back)](Job& job) {
      if (job.state() != JobState::done || back.arguments.empty()) return;
      undo_ = back;
      redraw();
    });
  } catch (const Error& error) {
    say(Role::message_bad, std::string{error.sentence()});
  }
}

void App::do_addnetwork(const Action&, const Key&)
{
  const ContainerPicture* container = selected_picture();
  if (container == nullptr) return;
  const std::string id = container->spec().id, name = container->spec().name;
  if (container->spec().network == NetworkMode::host) {
    say(Role::warning, name + " has no network of its own: it uses the host's");
    return;
  }
  const auto view_now = [this, id] {
    const ContainerPicture* now = world_.snapshot ? find_picture(*world_.snapshot, id) : nullptr;
    return now != nullptr && now->link ? std::optional<LinkView>{*now->link} : std::nullopt;
  };
  port_answers_.clear();
  auto fields = connect_fields([this] { return form_world(); }, view_now().value_or(LinkView{}));
  recall(fields, last_values_["addnetwork"]);
  // Who was refused the internet is asked about that.
  const auto refused = refusals_.ordered(*world_.snapshot, id);
  const bool wants_out = std::any_of(refused.begin(), refused.end(), [&](const auto& each) {
    return each.from_id == id && !is_containers_link(each.to_link);
  });
  for (Field& field : fields)
    if (wants_out && field.label == "internet") field.value = "yes";
  const auto make = [name](const std::vector<std::string>& values) { return connect_arguments(name, values); };
  const auto preview = [this, id](const std::vector<std::string>& values) {
    const ConnectWish wish = connect_wish(values);
    return world_.snapshot ? connect_preview(*world_.snapshot, id, wish.internet, wish.published)
                           : std::vector<ReachLine>{};
  };
  const auto submit = [this, id, name, view_now](std::vector<std::string> words,
                                                 const std::vector<std::string>& values) {
    last_values_["addnetwork"] = values;
    const ConnectWish wish = connect_wish(values);
    // What takes back exactly what this adds.
    std::vector<std::string> back{"delnetwork", object(id)};
    bool adds = true;
    if (const auto before = view_now()) {
      if (wish.internet && !before->internet) back.emplace_back("-i");
      std::vector<PublishedPort> fresh;
      for (const PublishedPort& port : wish.published)
        if (std::find(before->published.begin(), before->published.end(), port) == before->published.end())
          fresh.push_back(port);
      append_ports(back, fresh);
      adds = back.size() > 2;
    }
    Undo undo{"delnetwork " + name, {}};
    if (adds) undo.arguments.push_back(std::move(back));
    const std::string title = line_of(words);
    words[1] = object(id);
    change_network(title, std::move(words), std::move(undo));
  };
  overlays_.push_back(
      std::make_unique<FormOverlay>("CONNECT " + name, "connects", std::move(fields), make, submit, preview));
}

std::vector<std::string> App::possible_peers(const std::string& id) const
{
  std::vector<std::string> names;
  if (!world_.snapshot) return names;
  const Snapshot& snapshot = *world_.snapshot;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end() && peer_complaint(snapshot, id, name).empty())
      names.push_back(name);
  };
  for (const auto& each : refusals_.ordered(snapshot, id))
    if (each.from_id == id || each.to_id == id) add(container_name(each.from_id == id ? each.to_id : each.from_id));
  for (const bool running : {true, false})
    for (const auto& each : snapshot.containers)
      if ((each.state == State::running) == running) add(each.spec().name);
  return names;
}

void App::ask_peer(const std::string& id, const std::string& other)
{
  const std::string name = container_name(id);
  auto fields = peer_fields([this, id] { return possible_peers(id); },
                            [this, id](const std::string& text) {
                              return world_.snapshot ? peer_complaint(*world_.snapshot, id, text) : std::string{};
                            });
  recall(fields, last_values_["peer"]);
  if (!other.empty()) fields[0].value = other;
  if (const auto possible = possible_peers(id); possible.size() == 1) fields[0].value = possible[0];
  const auto id_of = [this](const std::string& wanted) {
    const ContainerPicture* found = world_.snapshot ? find_named(*world_.snapshot, wanted) : nullptr;
    return found != nullptr ? found->spec().id : std::string{};
  };
  const auto make = [name](const std::vector<std::string>& values) { return peer_arguments(name, values); };
  const auto preview = [this, id, id_of](const std::vector<std::string>& values) {
    if (!world_.snapshot) return std::vector<ReachLine>{};
    const std::string other_id = id_of(values[0]);
    if (!other_id.empty()) return peer_preview(*world_.snapshot, id, other_id);
    std::string names;
    for (const auto& possible : possible_peers(id))
      if (possible.starts_with(values[0])) names += (names.empty() ? "with " : ", ") + possible;
    return std::vector<ReachLine>{{names.empty() ? "no container is left to peer with" : names, false}};
  };
  const auto submit = [this, id, id_of](const std::vector<std::string>& words, const std::vector<std::string>& values) {
    last_values_["peer"] = values;
    const std::string other_id = id_of(values[0]);
    change_network(line_of(words), {"peer", object(id), object(other_id)},
                   {"unpeer " + words[1] + " " + words[2], {{"unpeer", object(id), object(other_id)}}});
  };
  overlays_.push_back(std::make_unique<FormOverlay>("PEER " + name, "peers", std::move(fields), make, submit, preview));
}

void App::do_peer(const Action&, const Key&)
{
  std::string id = containers_cursor_.selected, other;
  // Two that are marked are the two that are meant.
  if (const auto marked = targets(); marked.size() == 2) {
    id = marked[0]->id;
    other = marked[1]->name;
  } else if (world_.snapshot) {
    const auto refused = refusals_.ordered(*world_.snapshot, id);
    const auto last = std::find_if(refused.begin(), refused.end(), [&](const auto& each) {
      return !each.from_id.empty() && !each.to_id.empty() && each.from_id != each.to_id &&
             (each.from_id == id || each.to_id == id);
    });
    if (last != refused.end()) other = container_name(last->from_id == id ? last->to_id : last->from_id);
  }
  ask_peer(id, other);
}

void App::do_delnetwork(const Action& action, const Key&)
{
  const ContainerPicture* container = selected_picture();
  if (container == nullptr) return;
  const std::string id = container->spec().id, name = container->spec().name;
  if (!container->link) {
    say(Role::muted, name + " is connected to nothing; a connects it");
    return;
  }
  const LinkView view = *container->link;
  std::vector<ChooseOverlay::Choice> choices;
  const auto offer = [&](const std::string& label, const std::string& help, std::vector<std::string> less,
                         std::vector<std::vector<std::string>> back) {
    const std::string title = line_of([&] {
      std::vector<std::string> words{std::string{action.verb->name}, name};
      words.insert(words.end(), less.begin(), less.end());
      return words;
    }());
    std::vector<std::string> arguments{std::string{action.verb->name}, object(id)};
    arguments.insert(arguments.end(), less.begin(), less.end());
    choices.push_back({"", label, help, [this, title, arguments, undo = Undo{"addnetwork " + name, std::move(back)}] {
                         change_network(title, arguments, undo);
                       }});
  };
  std::vector<std::string> all{"addnetwork", object(id)};
  if (view.internet) {
    offer("internet", name + " -> internet ends", {"-i"}, {{"addnetwork", object(id), "-i"}});
    all.emplace_back("-i");
  }
  for (const PublishedRange& range : ranges_of(view.published)) {
    const std::string text = range.inner + "-" + range.outer;
    offer("port", fmt::format("host {} -> {} {} ends", range.outer, name, range.inner), {"--expose", text},
          {{"addnetwork", object(id), "--expose", text}});
    all.insert(all.end(), {"--expose", text});
  }
  std::vector<std::vector<std::string>> back;
  // A link that is there for its peers only goes with the last of them, and comes with the first.
  if (all.size() > 2 || view.peers.empty()) back.push_back(std::move(all));
  for (const std::string& peer : view.peers) {
    const ContainerPicture* other = find_named(*world_.snapshot, peer);
    if (other == nullptr) continue;
    choices.push_back(
        {"", "peer", fmt::format("{} <-> {} ends", name, peer), [this, id, peer] { drop_peer(id, peer); }});
    back.push_back({"peer", object(id), object(other->spec().id)});
  }
  offer("everything", "host, internet, ports and peers all end", {}, std::move(back));
  overlays_.push_back(std::make_unique<ChooseOverlay>("DISCONNECT " + name, std::move(choices)));
}

void App::drop_peer(const std::string& id, const std::string& name)
{
  const ContainerPicture* other = world_.snapshot ? find_named(*world_.snapshot, name) : nullptr;
  if (other == nullptr) return;
  const std::string pair = container_name(id) + " " + name, other_id = other->spec().id;
  change_network("unpeer " + pair, {"unpeer", object(id), object(other_id)},
                 {"peer " + pair, {{"peer", object(id), object(other_id)}}});
}

void App::do_unpeer(const Action&, const Key&)
{
  const ContainerPicture* container = selected_picture();
  if (container == nullptr) return;
  const std::string id = container->spec().id, name = container->spec().name;
  if (!container->link || container->link->peers.empty()) {
    say(Role::muted, name + " has no peers; p makes one");
    return;
  }
  std::vector<ChooseOverlay::Choice> choices;
  for (const std::string& peer : container->link->peers)
    choices.push_back({"", peer, fmt::format("{} <-> {} ends", name, peer), [this, id, peer] { drop_peer(id, peer); }});
  overlays_.push_back(std::make_unique<ChooseOverlay>("UNPEER " + name, std::move(choices)));
}

} // namespace conductor::console
