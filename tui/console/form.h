// Forms: fields that complete names and check as you type, what they would make reachable, and the command line that
// does the same.
#pragma once

#include "tui/console/editor.h"
#include "tui/console/network_view.h"
#include "tui/console/overlay.h"

#include <functional>
#include <string>
#include <vector>

namespace conductor::console {

struct Field {
  std::string label, help;
  /// What is wrong with the text; empty: nothing.
  std::function<std::string(const std::string&)> check = {};
  /// Texts that it could become; the first that begins with what is typed is offered.
  std::function<std::vector<std::string>(const std::string&)> complete = {};
  bool required = false;
  std::string value = {};
  /// The only texts that it can have: Space takes the next, a letter the one that begins with it.
  std::vector<std::string> choices = {};
};

class FormOverlay : public Overlay {
public:
  /// Arguments of `conductor` for the values, in the order of the fields.
  using MakeArguments = std::function<std::vector<std::string>(const std::vector<std::string>&)>;
  using Submit = std::function<void(std::vector<std::string> arguments, const std::vector<std::string>& values)>;

  /// What the values would make reachable; nothing for forms about something else.
  using Preview = std::function<std::vector<ReachLine>(const std::vector<std::string>&)>;

  FormOverlay(std::string title, std::string verb, std::vector<Field> fields, MakeArguments make, Submit submit,
              Preview preview = {});
  void draw(Canvas screen, const Theme& theme) override;
  bool key(const Key& key) override;
  std::optional<CursorPlace> cursor() const override { return cursor_; }
  std::string hints() const override;

  std::vector<std::string> values() const;
  /// The first complaint, or empty: what stops Enter.
  std::string complaint() const;

private:
  std::string suggestion(std::size_t field) const;
  std::string complaint_of(std::size_t field) const;
  std::string_view taking_key() const;
  void move(int by);
  void choose(const Key& key);
  void draw_preview(Canvas canvas, const Theme& theme, const std::vector<ReachLine>& lines) const;

  std::string title_, verb_;
  std::vector<Field> fields_;
  std::vector<LineEditor> editors_;
  MakeArguments make_;
  Submit submit_;
  Preview preview_;
  int preview_rows_ = 0; ///< so far: the box does not shrink while somebody types
  std::size_t current_ = 0;
  int top_ = 0; ///< first field shown
  bool tried_ = false;
  std::optional<CursorPlace> cursor_;
};

/// Words as a shell would cut them: blanks separate, quotes and backslashes hold together. Nothing for an open quote.
std::optional<std::vector<std::string>> split_words(std::string_view text);
/// Files and directories that begin like `typed`, directories with a slash behind.
std::vector<std::string> complete_path(const std::string& typed);

/// What the forms ask of the world.
struct FormWorld {
  std::vector<std::string> images;     ///< names of images, for completion
  std::vector<std::string> containers; ///< names that are taken
  /// Who has a port of the host; empty: nobody.
  std::function<std::string(const PublishedPort&)> port_taken = {};
};
/// Asked anew each time: what is typed towards may come while the form is open.
using AskWorld = std::function<FormWorld()>;
/// The forms are made from the rows of the verbs: what the command line can say, they can. Behind the fields for the
/// names stands one for each option. Values are in the order of the fields.
std::vector<Field> build_fields(const AskWorld& world);
std::vector<std::string> build_arguments(const std::vector<std::string>& values);
std::vector<Field> run_fields(const AskWorld& world);
std::vector<std::string> run_arguments(const std::vector<std::string>& values);
std::vector<Field> rename_fields(const AskWorld& world);
std::vector<std::string> rename_arguments(const std::string& container, const std::vector<std::string>& values);
/// Of a container that has these permissions already: the internet, these ports.
std::vector<Field> connect_fields(const AskWorld& world, const LinkView& before);
std::vector<std::string> connect_arguments(const std::string& container, const std::vector<std::string>& values);
/// What the values ask for; none of what is not understood.
struct ConnectWish {
  bool internet = false;
  std::vector<PublishedPort> published;
};
ConnectWish connect_wish(const std::vector<std::string>& values);
/// `others`: names that can be peers, the likeliest first. `check`: why one cannot.
std::vector<Field> peer_fields(std::function<std::vector<std::string>()> others,
                               std::function<std::string(const std::string&)> check);
std::vector<std::string> peer_arguments(const std::string& container, const std::vector<std::string>& values);

} // namespace conductor::console
