// The view: figures as people read them, rows in order, columns that fit.
#include "tui/command/verbs.h"
#include "tui/console/form.h"
#include "tui/console/job.h"
#include "tui/console/pane_text.h"
#include "tui/console/view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

using namespace conductor;
using namespace conductor::console;

namespace {

ContainerPicture container(const std::string& name, State state, double cpu = 0, int exit_code = 0)
{
  auto stored = std::make_shared<Container>();
  stored->spec.id = name + "-id";
  stored->spec.name = name;
  stored->spec.image = "box:latest";
  stored->status.exit_code = exit_code;
  ContainerPicture picture;
  picture.stored = stored;
  picture.state = state;
  picture.measured = state == State::running;
  picture.figures.cpu_percent = cpu;
  picture.uptime_seconds = 8040;
  return picture;
}

std::string names(const Snapshot& snapshot, const ListWish& wish)
{
  std::string all;
  for (const auto& row : container_rows(snapshot, wish)) all += (all.empty() ? "" : " ") + row.name;
  return all;
}

int width(const std::vector<Column>& columns)
{
  int sum = -1;
  for (const auto& column : columns) sum += column.width + 1;
  return sum;
}

} // namespace

TEST(ConsoleView, SizesTakeFiveColumns)
{
  EXPECT_EQ(size_text(0), "0");
  EXPECT_EQ(size_text(860'160), "840K");
  EXPECT_EQ(size_text(8'178'892), "7.8M");
  EXPECT_EQ(size_text(1'181'116'006), "1.1G");
  for (std::uint64_t bytes = 1; bytes < (1ULL << 60); bytes = bytes * 3 + 1)
    EXPECT_LE(size_text(bytes).size(), 5U) << bytes;
}

TEST(ConsoleView, DurationsShowSecondsOnlyBelowAMinute)
{
  EXPECT_EQ(duration_text(41), "41s");
  EXPECT_EQ(duration_text(60), "1m");
  EXPECT_EQ(duration_text(8040), "2h14m");
  EXPECT_EQ(duration_text(3 * 86400 + 7200), "3d02h");
}

TEST(ConsoleView, AnExitedRowSaysWhyInWords)
{
  auto killed = container("job", State::exited, 0, 137);
  auto stored = std::make_shared<Container>(*killed.stored);
  stored->status.oom_killed = true;
  stored->status.finished_ns = 1;
  killed.stored = stored;
  EXPECT_EQ(reason_text(killed, 181'000'000'000), "exit 137: out of memory, 3 min ago");
}

TEST(ConsoleView, RowsAreSortedFilteredAndKeepTheirLetters)
{
  Snapshot snapshot;
  snapshot.containers = {container("web", State::running, 5), container("db", State::running, 50),
                         container("job", State::exited, 0, 3)};
  EXPECT_EQ(names(snapshot, {}), "db job web");
  EXPECT_EQ(names(snapshot, {.sort = Sort::cpu}), "db web job");
  EXPECT_EQ(names(snapshot, {.sort = Sort::name, .reverse = true}), "web job db");
  EXPECT_EQ(names(snapshot, {.filter = "WE"}), "web");
  const auto rows = container_rows(snapshot, {.marked = {"web-id"}});
  EXPECT_EQ(rows[0].state, '*');
  EXPECT_EQ(rows[1].state, 'o');
  EXPECT_EQ(rows[1].state_role, Role::bad);
  EXPECT_TRUE(rows[2].marked);
  EXPECT_EQ(rows[2].image, "box");
}

TEST(ConsoleView, ColumnsFitAndNamesStayLongest)
{
  std::size_t before = 1;
  for (int columns = 10; columns < 200; ++columns) {
    const auto fitted = container_columns(columns, 12, 20);
    EXPECT_LE(width(fitted), columns);
    EXPECT_EQ(fitted[0].what, Column::What::name);
    EXPECT_GE(fitted.size(), before) << "more room shows no less";
    before = fitted.size();
  }
  EXPECT_EQ(container_columns(73, 10, 12).size(), 9U) << "80 columns show all";
  EXPECT_EQ(container_columns(12, 10, 12).size(), 1U);
}

TEST(ConsoleView, AGraphIsBlankWhereNothingWasMeasured)
{
  History history;
  history.push(0);
  history.push(100);
  const auto cells = graph(history, 60, 100, true);
  EXPECT_EQ(cells[57].shape, U' ');
  EXPECT_EQ(cells[58].shape, U'.');
  EXPECT_EQ(cells[59].shape, U'@');
  EXPECT_EQ(cells[59].role, Role::graph_4);
}

TEST(ConsoleView, ProcessesAreATree)
{
  Details details;
  details.processes = {{.pid = 1, .ppid = 0, .command = "init"},
                       {.pid = 7, .ppid = 1, .command = "sh"},
                       {.pid = 9, .ppid = 7, .command = "sleep"},
                       {.pid = 8, .ppid = 1, .command = "cat"}};
  const auto rows = process_rows(details, true);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].tree, "1 init");
  EXPECT_EQ(rows[1].tree, "+-7 sh");
  EXPECT_EQ(rows[2].tree, "| `-9 sleep");
  EXPECT_EQ(rows[3].tree, "`-8 cat");
}

TEST(ConsoleView, AProcessThatIsItsOwnParentEndsTheTree)
{
  Details details;
  details.processes = {{.pid = 1, .ppid = 1, .command = "odd"},
                       {.pid = 2, .ppid = 3, .command = "a"},
                       {.pid = 3, .ppid = 2, .command = "b"}};
  EXPECT_LE(process_rows(details, true).size(), 3U);
}

TEST(ConsoleForm, WordsAreSplitAsAShellDoes)
{
  EXPECT_EQ(*split_words(R"(sh -c 'echo a b' "x\"y" a\ b)"),
            (std::vector<std::string>{"sh", "-c", "echo a b", "x\"y", "a b"}));
  EXPECT_FALSE(split_words("sh 'x"));
  EXPECT_TRUE(split_words("  ")->empty());
}

namespace {

FormWorld an_empty_world() { return {}; }

// The values of a form with some of them typed.
std::vector<std::string> typed(const std::vector<Field>& fields, const std::map<std::string, std::string>& wanted)
{
  std::vector<std::string> values;
  for (const auto& field : fields) {
    const auto found = wanted.find(field.label);
    values.push_back(found == wanted.end() ? field.value : found->second);
  }
  return values;
}

const Field& field_called(const std::vector<Field>& fields, std::string_view label)
{
  return *std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.label == label; });
}

} // namespace

TEST(ConsoleForm, TheRunFormIsACommandLine)
{
  const auto fields = run_fields(an_empty_world);
  EXPECT_EQ(command_line(run_arguments(typed(fields, {{"image", "box"},
                                                      {"name", "web"},
                                                      {"command", "sh -c 'echo hi'"},
                                                      {"memory", "256M"},
                                                      {"cpus", "0.5"},
                                                      {"pids", "64"},
                                                      {"rm", "yes"},
                                                      {"volume", "/srv:/data:ro"},
                                                      {"env", "A=1 B='x y'"},
                                                      {"cap-drop", "NET_RAW"},
                                                      {"network", "host"}}))),
            "conductor run box web -d -t --rm --memory 256M --cpus 0.5 --pids 64 --volume /srv:/data:ro --env A=1 "
            "--env 'B=x y' --cap-drop NET_RAW --network host -- sh -c 'echo hi'");
  EXPECT_EQ(command_line(run_arguments(typed(fields, {{"image", "box"}, {"tty", "no"}}))), "conductor run box -d");
}

TEST(ConsoleForm, TheBuildFormIsACommandLine)
{
  EXPECT_EQ(command_line(build_arguments(typed(build_fields(an_empty_world), {{"name", "web"},
                                                                              {"file", "/src/Conductorfile"},
                                                                              {"build-arg", "A=1"},
                                                                              {"target", "base"},
                                                                              {"no-cache", "yes"}}))),
            "conductor build web /src/Conductorfile --build-arg A=1 --target base --no-cache");
}

TEST(ConsoleForm, EveryOptionOfTheVerbHasAField)
{
  for (const auto& [verb, fields] :
       {std::pair{"run", run_fields(an_empty_world)}, {"build", build_fields(an_empty_world)}})
    for (const auto& option : command::find_verb(verb)->options) {
      const auto found =
          std::count_if(fields.begin(), fields.end(), [&](const auto& field) { return field.label == option.name; });
      EXPECT_EQ(found, option.name == "detach" || option.name == "interactive" ? 0 : 1) << option.name;
    }
}

TEST(ConsoleForm, FieldsComplainInWords)
{
  const auto fields = run_fields([] { return FormWorld{.images = {"box"}, .containers = {"web"}}; });
  const auto said = [&](const char* label, const char* text) { return field_called(fields, label).check(text); };
  EXPECT_EQ(said("name", "web"), "a container is called that already");
  EXPECT_NE(said("name", "Web"), "");
  EXPECT_EQ(said("name", "api"), "");
  EXPECT_EQ(said("memory", "lots"), "'lots' is not understood (as in 256M, 1G or 4096)");
  EXPECT_NE(said("memory", "1"), "") << "too small";
  EXPECT_EQ(said("memory", "256M"), "");
  EXPECT_NE(said("volume", "/nosuchdirectory:/data"), "");
  EXPECT_NE(said("volume", "tmp"), "") << "no place";
  EXPECT_EQ(said("volume", "/tmp"), "") << "a volume without a name";
  EXPECT_EQ(said("volume", "/tmp:/data '/usr:/a b:ro'"), "");
  EXPECT_NE(said("env", "=1"), "");
  EXPECT_EQ(said("env", "A=1 B='x y'"), "");
  EXPECT_NE(said("cap-add", "NET_ADMIM"), "");
  EXPECT_NE(said("tmpfs", "run"), "");
  EXPECT_NE(said("ulimit", "nofile"), "");
  EXPECT_EQ(said("ulimit", "nofile=1024"), "");
  EXPECT_EQ(field_called(fields, "image").complete("b"), std::vector<std::string>{"box"});
  EXPECT_EQ(field_called(fields, "userns").choices, (std::vector<std::string>{"", "auto", "host"}));
  EXPECT_NE(field_called(build_fields(an_empty_world), "build-arg").check("A"), "");
}

TEST(ConsoleText, StaysAtNowUntilScrolledAndShowsControls)
{
  TextPane pane{4, "log"};
  pane.resize(3, 20);
  for (int i = 0; i < 10; ++i) pane.add_bytes("line " + std::to_string(i) + "\n");
  Grid grid{3, 20};
  const Theme theme = Themes{std::vector<std::string>{}}.load("mono");
  const auto text = [&](int y) {
    pane.draw({grid, {0, 0, 3, 20}}, theme, true, true);
    std::string line;
    for (const auto& cell : grid.row(y)) line += static_cast<char>(cell.text[0]);
    return line.substr(0, line.find_last_not_of(' ') + 1);
  };
  EXPECT_EQ(text(2), "line 9");
  pane.key(*key_from_name("k"));
  pane.add_bytes("line 10\n");
  EXPECT_EQ(text(2), "line 8");
  pane.key(*key_from_name("G"));
  EXPECT_EQ(text(2), "line 10");
  pane.add_bytes("\x1b[31mred\x1b[0m\x1b[2J\n");
  EXPECT_EQ(text(2), "red\\x1b[2J");
}

TEST(ConsoleText, MemoryIsBounded)
{
  TextPane pane{4, "log"};
  for (int i = 0; i < 30'000; ++i) pane.add_bytes("x\n");
  EXPECT_LE(pane.lines(), TextPane::most_lines);
  EXPECT_EQ(pane.total(), 30'000U);
}
