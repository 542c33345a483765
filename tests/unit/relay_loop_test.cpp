// The relay loop and the keeper around it, with plain children of the test: no container, no root.
#include "core/base/error.h"
#include "core/container/attach.h"
#include "core/container/keeper.h"
#include "core/container/log.h"
#include "core/container/relay_loop.h"
#include "core/container/wire.h"
#include "tests/unit/process_support.h"

#include <csignal>
#include <memory>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <termios.h>

using namespace conductor;
using namespace conductor::testing;

namespace {

std::string logged(const ScratchDirectory& directory, LogStream stream)
{
  LogReader reader{directory.again(), {}};
  std::string text;
  while (const auto record = reader.next())
    if (record->stream == stream) text += record->bytes;
  return text;
}

void record(const ScratchDirectory& directory, const ExitStatus& status)
{
  const Fd file{::openat(directory.fd(), "exit.new", O_WRONLY | O_CREAT, 0600)};
  ::dprintf(file.get(), "%d", status.shell());
  ::renameat(directory.fd(), "exit.new", directory.fd(), "exit");
}

// What record() wrote, once it has.
std::string recorded(const ScratchDirectory& directory)
{
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{patience_ms};
  while (std::chrono::steady_clock::now() < deadline) {
    char status[8] = {};
    const Fd file{::openat(directory.fd(), "exit", O_RDONLY)};
    if (file && ::read(file.get(), status, sizeof status - 1) > 0) return status;
    ::poll(nullptr, 0, 5);
  }
  return "nothing";
}

// A process of the test that stands for `conductor run`: its standard streams are these, it keeps a shell.
struct ForegroundRun {
  StreamPair outside; // what a user would hold
  ScratchDirectory log, run;
  Child process;

  ForegroundRun(StreamPair pair, const char* script, Local local, bool interactive) : outside(std::move(pair))
  {
    process = fork_child([&] {
      Trace trace;
      adopt_streams(trace, std::move(outside.theirs));
      outside.ours = Streams{};
      StreamPair inside =
          local == Local::terminal ? make_terminal(host_pty()) : make_pipes(interactive ? Stdin::open : Stdin::empty);
      Fd listener = wire::listen_in(trace, run.fd(), keeper_socket);
      Child shell = shell_on(inside, script);
      return run_in_foreground(KeeperRequest{.trace = trace,
                                             .child = std::move(shell),
                                             .streams = std::move(inside.ours),
                                             .log = LogWriter{trace, log.again(), {}},
                                             .listener = std::move(listener),
                                             .run_directory = run.fd(),
                                             .local = local,
                                             .interactive = interactive,
                                             .on_exit = [&](const ExitStatus& status) { record(run, status); }})
          .shell();
    });
    outside.theirs = ChildStreams{};
  }
};

// A keeper in the background over a shell.
struct Kept {
  ScratchDirectory log, run;
  Child process;

  Kept(bool terminal, const char* script)
  {
    Trace trace;
    // Made here, so that a client finds it whenever the process below gets its turn.
    Fd listener = wire::listen_in(trace, run.fd(), keeper_socket);
    process = fork_child([&] {
      StreamPair inside = terminal ? make_terminal(host_pty()) : make_pipes(Stdin::open);
      Child shell = shell_on(inside, script);
      serve(KeeperRequest{.trace = trace,
                          .child = std::move(shell),
                          .streams = std::move(inside.ours),
                          .log = LogWriter{trace, log.again(), {}},
                          .listener = std::move(listener),
                          .run_directory = run.fd(),
                          .on_exit = [&](const ExitStatus& status) { record(run, status); }});
      return 0;
    });
  }
};

// An attached client that speaks the protocol by hand.
struct Client {
  Fd socket;
  wire::Buffer buffer;
  std::string output;
  std::optional<ExitStatus> exit;

  Client(const ScratchDirectory& run, const WindowSize& size = {0, 0})
      : socket(wire::connect_to(run.fd(), keeper_socket))
  {
    EXPECT_EQ(wire::greet(socket.get()).second, wire::Role::keeper);
    const auto packed = wire::pack_size(size);
    wire::send(socket.get(), {.type = wire::Type::attach, .detail = wire::attach_input},
               {packed.data(), packed.size()});
    wire::Message answer;
    wire::await(socket.get(), buffer, answer, patience_ms);
    EXPECT_EQ(answer.head.type, wire::Type::attached);
  }
  void say(const std::string& text)
  {
    EXPECT_EQ(wire::send(socket.get(), {.type = wire::Type::input}, text), wire::Sent::yes);
  }
  // Until the output holds `text`, or (empty) the exit was told.
  void expect(const std::string& text)
  {
    while (text.empty() ? !exit : output.find(text) == std::string::npos) {
      wire::Message message;
      ASSERT_NO_THROW(wire::await(socket.get(), buffer, message, patience_ms)) << "after '" << output << "'";
      if (message.head.type == wire::Type::output) output += message.payload;
      if (message.head.type == wire::Type::lost) output += "<lost>";
      if (message.head.type == wire::Type::exited)
        exit = ExitStatus{static_cast<int>(message.head.number), message.head.detail};
    }
  }
};

} // namespace

TEST(Wire, TheLastWordIsHeardFromAPeerThatClosedWithoutReadingOurs)
{
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const Fd ours{ends[0]};
  Fd theirs{ends[1]};
  ASSERT_EQ(wire::send(ours.get(), {.type = wire::Type::input}, "unread"), wire::Sent::yes);
  ASSERT_EQ(wire::send(theirs.get(), {.type = wire::Type::exited, .number = 7}), wire::Sent::yes);
  theirs.reset();
  wire::Buffer buffer;
  wire::Message message;
  ASSERT_EQ(wire::receive(ours.get(), buffer, message), wire::Received::message);
  EXPECT_EQ(message.head.number, 7U);
  EXPECT_EQ(wire::receive(ours.get(), buffer, message), wire::Received::gone);
}

TEST(Foreground, KeepsOutputAndErrorApartAndLogsBoth)
{
  ForegroundRun run{make_pipes(Stdin::empty), "echo out; echo err >&2; exit 7", Local::streams, false};
  EXPECT_EQ(read_until(run.outside.ours.output.get(), ""), "out\n");
  EXPECT_EQ(read_until(run.outside.ours.error.get(), ""), "err\n");
  EXPECT_EQ(end_of(run.process).shell(), 7);
  EXPECT_EQ(logged(run.log, LogStream::output), "out\n");
  EXPECT_EQ(logged(run.log, LogStream::error), "err\n");
}

TEST(Foreground, PassesStdinAndItsEndWhenInteractive)
{
  ForegroundRun run{make_pipes(Stdin::open), "cat; echo over", Local::streams, true};
  type(run.outside.ours.input.get(), "hello\n");
  read_until(run.outside.ours.output.get(), "hello\n");
  run.outside.ours.input.reset();
  EXPECT_EQ(read_until(run.outside.ours.output.get(), ""), "over\n");
  EXPECT_EQ(end_of(run.process).shell(), 0);
}

TEST(Foreground, GivesAnEmptyStdinOtherwise)
{
  ForegroundRun run{make_pipes(Stdin::open), "cat; echo over", Local::streams, false};
  EXPECT_EQ(read_until(run.outside.ours.output.get(), ""), "over\n");
  EXPECT_EQ(end_of(run.process).shell(), 0);
}

TEST(Foreground, PassesMuchMoreThanAPipeHoldsToASlowReader)
{
  ForegroundRun run{make_pipes(Stdin::empty), "head -c 3000000 /dev/zero; echo end >&2", Local::streams, false};
  pollfd ends{run.process.pidfd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ends, 1, 100), 0); // nobody reads: it waits, and keeps nothing in memory
  const std::string got = read_until(run.outside.ours.output.get(), "");
  EXPECT_EQ(got.size(), 3'000'000U);
  EXPECT_EQ(end_of(run.process).shell(), 0);
}

TEST(Foreground, RecordsTheEndBeforeAReaderThatDoesNotRead)
{
  // More than the reader's pipe holds.
  ForegroundRun run{make_pipes(Stdin::empty), "head -c 100000 /dev/zero; exit 6", Local::streams, false};
  EXPECT_EQ(recorded(run.run), "6");
  EXPECT_EQ(logged(run.log, LogStream::output).size(), 100'000U);
  pollfd ends{run.process.pidfd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ends, 1, 0), 0);
  EXPECT_EQ(read_until(run.outside.ours.output.get(), "").size(), 100'000U);
  EXPECT_EQ(end_of(run.process).shell(), 6);
}

TEST(Foreground, EndsByASignalWhenAllButAReaderIsDone)
{
  ForegroundRun run{make_pipes(Stdin::empty), "head -c 100000 /dev/zero; exit 6", Local::streams, false};
  EXPECT_EQ(recorded(run.run), "6");
  ::kill(run.process.pid(), SIGINT);
  EXPECT_EQ(end_of(run.process).shell(), 6);
}

TEST(Foreground, TellsTheCommandWhenItsReaderIsGone)
{
  ForegroundRun run{make_pipes(Stdin::empty), "trap '' PIPE; while echo line; do :; done 2>/dev/null; exit 3",
                    Local::streams, false};
  read_until(run.outside.ours.output.get(), "line\n");
  run.outside.ours.output.reset();
  EXPECT_EQ(end_of(run.process).shell(), 3);
}

TEST(Foreground, ForwardsSignals)
{
  ForegroundRun run{make_pipes(Stdin::empty), "trap 'echo got it; exit 9' USR1; echo ready; while :; do :; done",
                    Local::streams, false};
  read_until(run.outside.ours.output.get(), "ready\n");
  ::kill(run.process.pid(), SIGUSR1);
  read_until(run.outside.ours.output.get(), "got it\n");
  EXPECT_EQ(end_of(run.process).shell(), 9);
}

TEST(Foreground, DoesNotWaitForABackgroundProcessThatHoldsTheStreams)
{
  ForegroundRun run{make_pipes(Stdin::empty), "(trap '' TERM; exec sleep 60) & echo $!; exit 4", Local::streams, false};
  const std::string pid = read_until(run.outside.ours.output.get(), "\n");
  EXPECT_EQ(end_of(run.process).shell(), 4);
  ::kill(std::stoi(pid), SIGKILL);
}

TEST(Foreground, TellsTheSignalThatEndedTheCommand)
{
  ForegroundRun run{make_pipes(Stdin::empty), "kill -9 $$", Local::streams, false};
  EXPECT_EQ(end_of(run.process).shell(), 128 + SIGKILL);
}

TEST(ForegroundTerminal, JoinsTheTwoTerminals)
{
  ForegroundRun run{make_terminal(host_pty({33, 101})), "tty -s && stty size; read line; echo got $line",
                    Local::terminal, true};
  read_until(run.outside.ours.master.get(), "33 101\r\n");
  type(run.outside.ours.master.get(), "abc\r");
  read_until(run.outside.ours.master.get(), "got abc\r\n");
  EXPECT_EQ(end_of(run.process).shell(), 0);
  EXPECT_NE(logged(run.log, LogStream::terminal).find("got abc"), std::string::npos);
}

TEST(ForegroundTerminal, FollowsTheWindowSize)
{
  ForegroundRun run{make_terminal(host_pty()), "trap 'stty size; exit' WINCH; echo ready; while :; do :; done",
                    Local::terminal, true};
  read_until(run.outside.ours.master.get(), "ready");
  set_window_size(run.outside.ours.master.get(), {50, 132});
  read_until(run.outside.ours.master.get(), "50 132");
  EXPECT_EQ(end_of(run.process).shell(), 0);
}

TEST(ForegroundTerminal, SendsControlCToTheCommandAndGivesTheModeBack)
{
  Pty outer = host_pty();
  Fd slave{::fcntl(outer.slave.get(), F_DUPFD_CLOEXEC, 3)};
  termios before{}, within{}, after{};
  ::tcgetattr(slave.get(), &before);
  ForegroundRun run{make_terminal(std::move(outer)), "trap 'exit 5' INT; echo ready; while :; do :; done",
                    Local::terminal, true};
  read_until(run.outside.ours.master.get(), "ready");
  ::tcgetattr(slave.get(), &within);
  EXPECT_EQ(within.c_lflag & (ICANON | ECHO | ISIG), 0U);
  type(run.outside.ours.master.get(), "\x03");
  EXPECT_EQ(end_of(run.process).shell(), 5);
  ::tcgetattr(slave.get(), &after);
  EXPECT_EQ(after.c_lflag, before.c_lflag);
  EXPECT_EQ(after.c_iflag, before.c_iflag);
  EXPECT_EQ(after.c_oflag, before.c_oflag);
}

TEST(ForegroundTerminal, OutlivesAChildThatClosesItsTerminalAndOpensItAgain)
{
  ForegroundRun run{make_terminal(host_pty()),
                    "t=$(tty); exec </dev/null >/dev/null 2>&1; for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done; exec "
                    "<$t >$t 2>&1; echo back",
                    Local::terminal, true};
  read_until(run.outside.ours.master.get(), "back");
  EXPECT_EQ(end_of(run.process).shell(), 0);
}

TEST(Keeper, LogsRecordsTheExitAndRemovesItsSocket)
{
  Kept kept{false, "echo hello; exit 42"};
  EXPECT_EQ(end_of(kept.process).shell(), 0);
  EXPECT_EQ(logged(kept.log, LogStream::output), "hello\n");
  EXPECT_EQ(std::filesystem::exists(kept.run.path() + "/keeper.sock"), false);
  EXPECT_EQ(recorded(kept.run), "42");
}

TEST(Keeper, ServesInputOutputAndExitToAClient)
{
  Kept kept{false, "while read line; do echo \"<$line>\"; done; exit 6"};
  Client client{kept.run};
  client.say("one\n");
  client.expect("<one>\n");
  client.say("two\n");
  client.expect("<two>\n");
  wire::send(client.socket.get(), {.type = wire::Type::input_end});
  client.expect("");
  EXPECT_EQ(client.exit->code, 6);
  EXPECT_EQ(end_of(kept.process).shell(), 0);
}

TEST(Keeper, ServesSeveralClientsAndForgetsOneThatLeaves)
{
  Kept kept{true, "stty -echo; while read line; do echo \"<$line>\"; done"};
  auto first = std::make_unique<Client>(kept.run);
  Client second{kept.run};
  first->say("a\n");
  first->expect("<a>");
  second.expect("<a>");
  first.reset();
  second.say("b\n");
  second.expect("<b>");
  second.say("\x04");
  second.expect("");
  EXPECT_EQ(end_of(kept.process).shell(), 0);
}

TEST(Keeper, MakesAProgramOnItsTerminalRedrawForANewClient)
{
  Kept kept{true, "trap 'stty size' WINCH; echo ready; while :; do read -r line; [ \"$line\" = x ] && exit; done"};
  LogReader reader{kept.log.again(), {.follow = true}};
  std::string text;
  for (;;) { // until it is ready
    while (const auto record = reader.next()) text += record->bytes;
    if (text.find("ready") != std::string::npos) break;
    reader.wait(Trace{}, patience_ms);
  }
  Client client{kept.run, {40, 99}};
  client.say("\n");
  client.expect("40 99");
  client.say("x\n");
  client.expect("");
}

TEST(Keeper, IsNotHeldUpByAClientThatNeverReads)
{
  Kept kept{false, "read line; head -c 2000000 /dev/zero"};
  Client sleeper{kept.run};
  sleeper.say("go\n");
  EXPECT_EQ(end_of(kept.process).shell(), 0);
  EXPECT_EQ(logged(kept.log, LogStream::output).size(), 2'000'000U);
}

TEST(Keeper, RefusesAVersionItCannotSpeakInWords)
{
  Kept kept{false, "read line"};
  {
    const Fd socket = wire::connect_to(kept.run.fd(), keeper_socket);
    wire::send(socket.get(), {.type = wire::Type::hello, .number = 0});
    wire::Buffer buffer;
    wire::Message answer;
    try {
      wire::await(socket.get(), buffer, answer, patience_ms);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_NE(std::string{error.what()}.find("version 0"), std::string::npos) << error.what();
    }
  }
  Client client{kept.run};
  client.say("\n");
  client.expect("");
}

TEST(Keeper, SpeaksItsOwnVersionToANewerConductor)
{
  Kept kept{false, "read line"};
  const Fd socket = wire::connect_to(kept.run.fd(), keeper_socket);
  wire::send(socket.get(), {.type = wire::Type::hello, .number = 77});
  wire::Buffer buffer;
  wire::Message answer;
  wire::await(socket.get(), buffer, answer, patience_ms);
  EXPECT_EQ(answer.head.type, wire::Type::hello);
  EXPECT_EQ(answer.head.number, wire::newest_version);
  Client client{kept.run};
  client.say("\n");
  client.expect("");
}

TEST(Keeper, SurvivesRubbishOnItsSocket)
{
  Kept kept{false, "read line; echo $line"};
  for (const std::string_view rubbish : {"", "x", "\x01\x00\xff\xff", "GET / HTTP/1.1\r\n\r\n"}) {
    const Fd socket = wire::connect_to(kept.run.fd(), keeper_socket);
    ::send(socket.get(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL);
  }
  Client client{kept.run};
  client.say("fine\n");
  client.expect("fine");
  client.expect("");
}

TEST(Keeper, InTheForegroundServesClientsToo)
{
  ForegroundRun run{make_pipes(Stdin::open), "read line; echo \"<$line>\"; read line", Local::streams, true};
  type(run.outside.ours.input.get(), "hello\n");
  read_until(run.outside.ours.output.get(), "<hello>"); // its socket is there now
  Client client{run.run};
  client.say("x\n");
  client.expect("");
  EXPECT_EQ(end_of(run.process).shell(), 0);
}

TEST(Front, LetsTheCallerGoAndTheContainerLive)
{
  ScratchDirectory log, run;
  StreamPair outside = make_terminal(host_pty());
  Child front = fork_child([&] {
    Trace trace;
    adopt_streams(trace, std::move(outside.theirs));
    outside.ours = Streams{};
    Front split = Front::split(trace);
    StreamPair inside = make_terminal(host_pty());
    Fd listener = wire::listen_in(trace, run.fd(), keeper_socket);
    Child shell = shell_on(inside, "echo ready; read line; echo got $line; exit 3");
    return run_in_foreground(KeeperRequest{.trace = trace,
                                           .child = std::move(shell),
                                           .streams = std::move(inside.ours),
                                           .log = LogWriter{trace, log.again(), {}},
                                           .listener = std::move(listener),
                                           .run_directory = run.fd(),
                                           .local = Local::terminal,
                                           .interactive = true,
                                           .on_exit = {}},
                             std::move(split))
        .shell();
  });
  outside.theirs = ChildStreams{};
  read_until(outside.ours.master.get(), "ready");
  type(outside.ours.master.get(), "\x10\x11");
  EXPECT_EQ(end_of(front).shell(), 0);
  Client client{run};
  client.say("on\n");
  client.expect("got on");
  client.expect("");
  EXPECT_EQ(client.exit->code, 3);
}

TEST(Front, PassesTheStatusOn)
{
  Child front = fork_child([&] {
    Trace trace;
    Front split = Front::split(trace);
    return 17;
  });
  EXPECT_EQ(end_of(front).shell(), 17);
}

TEST(DetachKeys, AreFoundWhereverTheyAreCut)
{
  const std::string typed = "ab\x10"
                            "c\x10\x10\x11z";
  for (size_t cut = 0; cut <= typed.size(); cut++) {
    DetachKeys keys;
    char out[32];
    size_t size = 0;
    bool found = keys.feed(typed.data(), cut, out, size);
    if (!found) found = keys.feed(typed.data() + cut, typed.size() - cut, out, size);
    EXPECT_TRUE(found) << cut;
    EXPECT_EQ(std::string(out, size), "ab\x10"
                                      "c\x10")
        << cut;
  }
}
