// Sessions: a shell that outlives those who look at it. Plain children of the test, no root.
#include "core/base/error.h"
#include "core/container/attach.h"
#include "core/container/session.h"
#include "core/container/session_ring.h"
#include "core/container/wire.h"
#include "tests/unit/process_support.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>

using namespace conductor;
using namespace conductor::testing;

namespace {

struct Session {
  ScratchDirectory run;
  Child holder;

  explicit Session(const char* script)
  {
    Trace trace;
    ::mkdirat(run.fd(), session_directory, 0700);
    const Fd directory{::openat(run.fd(), session_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    Fd listener = wire::listen_in(trace, directory.get(), "s1.sock");
    holder = fork_child([&] {
      StreamPair pair = make_terminal(host_pty());
      Child shell = shell_on(pair, script);
      return hold_session(SessionRequest{.trace = trace,
                                         .child = std::move(shell),
                                         .master = std::move(pair.ours.master),
                                         .listener = std::move(listener),
                                         .directory = directory.get(),
                                         .name = "s1.sock"})
          .shell();
    });
  }
  SessionClient client(const WindowSize& size = {}, bool take = false)
  {
    return SessionClient::connect(run.fd(), "s1", size, take);
  }
};

constexpr const char* echoing = "stty -echo; echo ready; while read line; do echo \"<$line>\"; done; exit 8";

// What a console would show of it: what it was given to replay, then what it reads, until `text` is there.
std::string seen(SessionClient& client, const std::string& text)
{
  if (client.replay().find(text) != std::string::npos) return client.replay();
  return client.replay() + read_until(client.master(), text);
}

SessionClient::News await_news(SessionClient& client)
{
  auto news = SessionClient::News::nothing;
  while (news == SessionClient::News::nothing) {
    pollfd wait{client.poll_fd(), POLLIN, 0};
    if (::poll(&wait, 1, patience_ms) <= 0) break;
    news = client.poll_events();
  }
  return news;
}

// Waits until the holder has drained what was printed while nobody looked: a master without a reader stays readable.
void await_drained(int master)
{
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{patience_ms};
  pollfd news{master, POLLIN, 0};
  while (::poll(&news, 1, 0) > 0 && std::chrono::steady_clock::now() < deadline) ::sched_yield();
}

} // namespace

TEST(Session, IsReadAndWrittenByTheClientItself)
{
  Session session{echoing};
  SessionClient client = session.client();
  seen(client, "ready");
  type(client.master(), "one\n");
  read_until(client.master(), "<one>");
}

TEST(Session, ReplaysWhatWasPrintedBeforeAnybodyLooked)
{
  Session session{"echo early; read line"};
  // The holder tells when it is asked, so by the time that the shell waits for input all is printed.
  std::string text;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{patience_ms};
  while (text.find("early") == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    SessionClient client = session.client();
    text += client.replay();
    client.detach("");
  }
  EXPECT_NE(text.find("early"), std::string::npos);
}

TEST(Session, GivesTheScreenAndWhatCameSinceToTheNextClient)
{
  Session session{echoing};
  Fd outside; // a duplicate of the master, to type while nobody is attached
  {
    SessionClient client = session.client();
    seen(client, "ready");
    outside = Fd{::fcntl(client.master(), F_DUPFD_CLOEXEC, 3)};
    client.detach(std::string("screen\0blob", 11));
  }
  type(outside.get(), "alone\n");
  std::string screen, since;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{patience_ms};
  while (since.find("<alone>") == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    SessionClient client = session.client();
    if (!client.screen_blob().empty()) screen = client.screen_blob();
    since += client.replay();
    client.detach(screen);
  }
  EXPECT_EQ(screen, std::string("screen\0blob", 11));
  EXPECT_EQ(since, "<alone>\r\n");
}

TEST(Session, SurvivesTheKillOfItsClientAndRedrawsForTheNext)
{
  Session session{"trap 'stty size' WINCH; echo ready; while :; do read line; done"};
  Child console = fork_child([&] {
    SessionClient client = session.client();
    seen(client, "ready");
    ::raise(SIGKILL);
    return 0;
  });
  EXPECT_EQ(end_of(console).signal, SIGKILL);
  SessionClient client = session.client({24, 80}); // the size it had before: only a kick makes it draw
  type(client.master(), "\n");
  seen(client, "24 80");
}

TEST(Session, BelongsToOneClientAtATimeUnlessTaken)
{
  Session session{echoing};
  SessionClient first = session.client();
  try {
    session.client();
    FAIL() << "was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.number(), EBUSY);
  }
  SessionClient second = session.client({}, true);
  EXPECT_EQ(await_news(first), SessionClient::News::taken);
}

TEST(Session, TellsTheExitStatus)
{
  Session session{echoing};
  SessionClient client = session.client();
  seen(client, "ready");
  type(client.master(), "\x04");
  EXPECT_EQ(await_news(client), SessionClient::News::exited);
  EXPECT_EQ(client.exit_status()->code, 8);
  EXPECT_EQ(end_of(session.holder).shell(), 8);
  EXPECT_FALSE(std::filesystem::exists(session.run.path() + "/sessions/s1.sock"));
  EXPECT_NO_THROW(client.detach("late"));
}

TEST(Session, EndsWithItsShellWhileNobodyLooks)
{
  Session session{"exit 5"};
  EXPECT_EQ(end_of(session.holder).shell(), 5);
}

TEST(Session, NeverStopsAFloodWhileNobodyLooks)
{
  Session session{"head -c 5000000 /dev/zero; exit 2"};
  EXPECT_EQ(end_of(session.holder).shell(), 2);
}

TEST(Session, KeepsTheNewestOfAFloodAndSaysWhatIsLost)
{
  Session session{"stty -opost; echo ready; read line; head -c 3000000 /dev/zero; printf end; read line"};
  Fd outside;
  {
    SessionClient client = session.client();
    seen(client, "ready");
    outside = Fd{::fcntl(client.master(), F_DUPFD_CLOEXEC, 3)};
    client.detach("before");
  }
  type(outside.get(), "\n");
  uint64_t lost = 0, kept = 0;
  std::string last;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{patience_ms};
  while (last != "end" && std::chrono::steady_clock::now() < deadline) {
    await_drained(outside.get());
    SessionClient client = session.client();
    EXPECT_LE(client.replay().size(), session_ring_size);
    lost += client.lost_bytes();
    kept += client.replay().size();
    if (client.replay().size() >= 3) last = client.replay().substr(client.replay().size() - 3);
    client.detach("");
  }
  EXPECT_EQ(last, "end");
  EXPECT_GE(lost + kept, 3'000'003U);
}

TEST(Session, RefusesAScreenThatIsTooLarge)
{
  Session session{echoing};
  SessionClient client = session.client();
  EXPECT_THROW(client.detach(std::string(session_screen_limit + 1, 'x')), Error);
}

TEST(Session, RefusesAScreenThatCouldStillChange)
{
  Session session{echoing};
  const Fd directory{::openat(session.run.fd(), session_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  const Fd socket = wire::connect_to(directory.get(), "s1.sock");
  wire::greet(socket.get());
  wire::Buffer buffer;
  wire::Message answer;
  wire::send(socket.get(), {.type = wire::Type::attach});
  wire::await(socket.get(), buffer, answer, patience_ms);
  const Fd file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  const int descriptor = file.get();
  wire::send(socket.get(), {.type = wire::Type::detach}, {}, &descriptor, 1);
  EXPECT_THROW(wire::await(socket.get(), buffer, answer, patience_ms), Error);
  EXPECT_NO_THROW(session.client()); // and the session is free again
}

TEST(Session, IsListedWhileItsHolderLives)
{
  Session session{echoing};
  auto sessions = list_sessions(session.run.fd());
  ASSERT_EQ(sessions.size(), 1U);
  EXPECT_EQ(sessions[0].id, "s1");
  EXPECT_EQ(sessions[0].holder, session.holder.pid());
  EXPECT_FALSE(sessions[0].attached);
  {
    SessionClient client = session.client();
    EXPECT_TRUE(list_sessions(session.run.fd()).at(0).attached);
  }
  session.holder.kill_and_reap();
  EXPECT_TRUE(list_sessions(session.run.fd()).empty()); // though its socket's file is there
}

TEST(Session, ThatIsNotThereIsAnErrorWithItsName)
{
  Session session{echoing};
  EXPECT_THROW(SessionClient::connect(session.run.fd(), "other", {}), Error);
  EXPECT_THROW(SessionClient::connect(session.run.fd(), "../sessions/s1", {}), Error);
}

TEST(SessionAttach, JoinsOurTerminalAndLeavesByTheDetachKeys)
{
  Session session{echoing};
  StreamPair outside = make_terminal(host_pty());
  Child command = fork_child([&] {
    Trace trace;
    adopt_streams(trace, std::move(outside.theirs));
    outside.ours = Streams{};
    return attach_to_session(session.run.fd(), "s1", false).end == AttachEnd::detached ? 33 : 1;
  });
  outside.theirs = ChildStreams{};
  read_until(outside.ours.master.get(), "ready");
  type(outside.ours.master.get(), "hi\n");
  read_until(outside.ours.master.get(), "<hi>");
  type(outside.ours.master.get(), "\x10\x11");
  EXPECT_EQ(end_of(command).shell(), 33);
  EXPECT_FALSE(list_sessions(session.run.fd()).at(0).attached);
}

TEST(SessionRing, KeepsTheNewestBytes)
{
  SessionRing ring{4096};
  std::string all;
  for (int step = 1; step < 200; step++) {
    const std::string piece(static_cast<size_t>(step % 97), static_cast<char>('a' + step % 26));
    ring.push(piece);
    all += piece;
    const auto pieces = ring.pieces();
    const std::string kept = std::string{pieces[0]} + std::string{pieces[1]};
    ASSERT_EQ(kept, all.substr(all.size() - std::min<size_t>(all.size(), 4096)));
    ASSERT_EQ(ring.lost(), all.size() - kept.size());
  }
  ring.clear();
  EXPECT_EQ(ring.kept(), 0U);
  EXPECT_EQ(ring.lost(), 0U);
}
