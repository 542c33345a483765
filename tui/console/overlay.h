// What lies over the panels until it is answered or closed: questions, forms, help, the messages so far.
#pragma once

#include "tui/console/grid.h"
#include "tui/console/keys.h"
#include "tui/console/screen.h"
#include "tui/console/theme.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace conductor::console {

class Overlay {
public:
  virtual ~Overlay() = default;
  /// Draws itself over the whole screen's canvas.
  virtual void draw(Canvas screen, const Theme& theme) = 0;
  /// True: it is done and goes away.
  virtual bool key(const Key& key) = 0;
  virtual std::optional<CursorPlace> cursor() const { return std::nullopt; }
  virtual std::string hints() const = 0;
};

/// A box in the middle of the screen, as large as it needs to be and fits; returns its inside.
Canvas draw_box(Canvas screen, const Theme& theme, int rows, int columns, std::string_view title, bool ascii);

/// Lines to be read, with the keys of a reader.
class ReadOverlay : public Overlay {
public:
  struct Line {
    std::string left, right; ///< left in a column of its own
    Role role = Role::overlay;
  };
  ReadOverlay(std::string title, std::vector<Line> lines, bool from_end = false)
      : title_(std::move(title)), lines_(std::move(lines)), from_end_(from_end)
  {}
  void draw(Canvas screen, const Theme& theme) override;
  bool key(const Key& key) override;
  std::string hints() const override { return "j k scroll  Esc back"; }

private:
  std::vector<Line> rows(int left, int columns) const;
  std::string title_;
  std::vector<Line> lines_;
  bool from_end_;
  int top_ = 0, room_ = 1;
};

/// A question. The first answer is "Cancel", and it is the one that Enter takes unless another was chosen.
class ConfirmOverlay : public Overlay {
public:
  /// `word`: what must be typed for a dangerous bulk ("7"), or empty.
  ConfirmOverlay(std::string title, std::vector<std::string> lines, std::string verb, std::function<void()> then,
                 std::string word = {})
      : title_(std::move(title)), lines_(std::move(lines)), verb_(std::move(verb)), then_(std::move(then)),
        word_(std::move(word))
  {}
  void draw(Canvas screen, const Theme& theme) override;
  bool key(const Key& key) override;
  std::string hints() const override { return "Tab chooses  Enter takes it  Esc cancels"; }

private:
  std::string title_;
  std::vector<std::string> lines_;
  std::string verb_;
  std::function<void()> then_;
  std::string word_, typed_;
  bool chosen_ = false;
};

/// Something to choose from by typing a part of its name: the palette, the menu of actions.
class ChooseOverlay : public Overlay {
public:
  struct Choice {
    std::string key, label, help;
    std::function<void()> then;
  };
  ChooseOverlay(std::string title, std::vector<Choice> choices) : title_(std::move(title)), choices_(std::move(choices))
  {}
  void draw(Canvas screen, const Theme& theme) override;
  bool key(const Key& key) override;
  std::optional<CursorPlace> cursor() const override { return cursor_; }
  std::string hints() const override { return "type to find  Up Down choose  Enter does it  Esc back"; }

private:
  std::vector<const Choice*> matches() const;
  std::string title_;
  std::vector<Choice> choices_;
  std::string typed_;
  int selected_ = 0;
  std::optional<CursorPlace> cursor_;
};

} // namespace conductor::console
