// The log of a container: what goes in comes out, whatever it is and whatever happened to the file.
#include "core/base/error.h"
#include "core/container/log.h"
#include "tests/unit/process_support.h"

#include <algorithm>
#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>

using namespace conductor;
using namespace conductor::testing;

namespace {

LogWriter writer_in(const ScratchDirectory& directory, LogLimits limits = {})
{
  static Trace trace;
  return LogWriter{trace, directory.again(), limits};
}

std::string read_log(const ScratchDirectory& directory, const LogQuery& query = {})
{
  LogReader reader{directory.again(), query};
  std::string text;
  while (const auto record = reader.next()) text += record->bytes;
  return text;
}

void append_to(const std::string& path, const std::string& bytes)
{
  std::ofstream{path, std::ios::app | std::ios::binary} << bytes;
}

std::string content(const std::string& path)
{
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST(Log, GivesRecordsBackWithStreamAndTime)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory);
  writer.write(LogStream::output, "one\n");
  writer.write(LogStream::error, std::string_view{"t\0wo", 4});
  LogReader reader{directory.again(), {}};
  const auto first = reader.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->bytes, "one\n");
  EXPECT_EQ(first->stream, LogStream::output);
  const int64_t time = first->time_ns;
  EXPECT_GT(time, 0);
  const auto second = reader.next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->bytes, (std::string_view{"t\0wo", 4}));
  EXPECT_EQ(second->stream, LogStream::error);
  EXPECT_GE(second->time_ns, time);
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.ended());
}

TEST(Log, OfAContainerThatPrintedNothingIsEmpty)
{
  ScratchDirectory directory;
  EXPECT_EQ(read_log(directory), "");
  EXPECT_EQ(read_log(directory, {.tail_lines = 3}), "");
  writer_in(directory);
  EXPECT_EQ(read_log(directory), "");
}

TEST(Log, SplitsWhatIsLongerThanARecord)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory);
  const std::string large(3 * log_record_limit + 17, 'x');
  writer.write(LogStream::output, large);
  EXPECT_EQ(read_log(directory), large);
}

TEST(Log, GoesOnInTheSameFileAfterARestart)
{
  ScratchDirectory directory;
  writer_in(directory).write(LogStream::output, "before\n");
  writer_in(directory).write(LogStream::output, "after\n");
  EXPECT_EQ(read_log(directory), "before\nafter\n");
}

TEST(Log, KeepsOnlyTheNewestFiles)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory, {.size_bytes = 1000, .files = 3});
  for (int line = 0; line < 200; line++) writer.write(LogStream::output, "line " + std::to_string(line) + "\n");
  const std::string text = read_log(directory);
  EXPECT_EQ(text.substr(text.size() - 9), "line 199\n");
  EXPECT_EQ(text.find("line 0\n"), std::string::npos);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator{directory.path()})
    if (entry.path().filename() != "writer") {
      files++;
      EXPECT_LE(entry.file_size(), 1000U);
    }
  EXPECT_EQ(files, 3U);
}

TEST(Log, LosesNoLineToAReaderThatFollowsThroughRotations)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory, {.size_bytes = 600, .files = 5});
  LogReader reader{directory.again(), {.follow = true}};
  std::string text, expected;
  for (int line = 0; line < 300; line++) {
    const std::string words = "line " + std::to_string(line) + "\n";
    writer.write(LogStream::output, words);
    expected += words;
    if (line % 7 == 0)
      while (const auto record = reader.next()) text += record->bytes;
  }
  while (const auto record = reader.next()) text += record->bytes;
  EXPECT_EQ(text, expected);
}

TEST(Log, FollowEndsWithTheWriterEvenIfItWasKilled)
{
  ScratchDirectory directory;
  Child writer = fork_child([&] {
    LogWriter log = writer_in(directory);
    for (int line = 0; line < 100; line++) log.write(LogStream::output, "x\n");
    ::raise(SIGKILL);
    return 0;
  });
  LogReader reader{directory.again(), {.follow = true}};
  size_t bytes = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{patience_ms};
  bool has_begun = false;
  while (std::chrono::steady_clock::now() < deadline) {
    while (const auto record = reader.next()) bytes += record->bytes.size();
    has_begun |= bytes > 0; // before the writer has its lock, the log looks over
    if (reader.ended() && has_begun) break;
    reader.wait(Trace{}, 100);
  }
  EXPECT_EQ(bytes, 200U);
  EXPECT_EQ(end_of(writer).signal, SIGKILL);
}

TEST(Log, FollowWaitsWhileTheWriterLives)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory);
  LogReader reader{directory.again(), {.follow = true}};
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.ended());
  pollfd news{reader.poll_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&news, 1, 0), 0);
  writer.write(LogStream::output, "hello");
  EXPECT_EQ(::poll(&news, 1, patience_ms), 1);
  const auto record = reader.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->bytes, "hello");
}

TEST(Log, HasOneWriterAtATime)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory);
  EXPECT_THROW(writer_in(directory), Error);
  writer.close();
  EXPECT_NO_THROW(writer_in(directory));
}

TEST(LogTail, CountsLinesFromTheEndOverRecordsAndFiles)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory, {.size_bytes = 500, .files = 4});
  for (int line = 0; line < 30; line++) writer.write(LogStream::output, "line " + std::to_string(line) + "\n");
  EXPECT_EQ(read_log(directory, {.tail_lines = 1}), "line 29\n");
  EXPECT_EQ(read_log(directory, {.tail_lines = 3}), "line 27\nline 28\nline 29\n");
  const std::string all = read_log(directory);
  for (uint64_t lines = 1; lines < 40; lines++) {
    const std::string tail = read_log(directory, {.tail_lines = lines});
    const auto count = static_cast<uint64_t>(std::count(tail.begin(), tail.end(), '\n'));
    EXPECT_EQ(count, std::min<uint64_t>(lines, 30));
    EXPECT_EQ(tail, all.substr(all.size() - tail.size()));
  }
  EXPECT_EQ(read_log(directory, {.tail_lines = 0}), "");
}

TEST(LogTail, FindsLinesWithinARecordAndPartsOfLinesInSeveral)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory);
  writer.write(LogStream::output, "a\nb\nc");
  writer.write(LogStream::output, "c\nd");
  EXPECT_EQ(read_log(directory, {.tail_lines = 1}), "d");
  EXPECT_EQ(read_log(directory, {.tail_lines = 2}), "cc\nd");
  EXPECT_EQ(read_log(directory, {.tail_lines = 3}), "b\ncc\nd");
  EXPECT_EQ(read_log(directory, {.tail_lines = 4}), "a\nb\ncc\nd");
}

TEST(LogTail, FindsItsWayThroughATornEnd)
{
  ScratchDirectory directory;
  writer_in(directory).write(LogStream::output, "one\ntwo\n");
  append_to(directory.path() + "/log", std::string(300, '\0'));
  EXPECT_EQ(read_log(directory, {.tail_lines = 1}), "two\n");
  writer_in(directory).write(LogStream::output, "three\n");
  EXPECT_EQ(read_log(directory, {.tail_lines = 2}), "two\nthree\n");
}

TEST(LogSince, LeavesOlderRecordsOut)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory);
  writer.write(LogStream::output, "old\n");
  writer.write(LogStream::output, "new\n");
  LogReader reader{directory.again(), {}};
  reader.next();
  const int64_t time = reader.next()->time_ns;
  EXPECT_EQ(read_log(directory, {.since_ns = time}), "new\n");
  EXPECT_EQ(read_log(directory, {.until_ns = time}), "old\n");
  EXPECT_EQ(read_log(directory, {.tail_lines = 1, .until_ns = time}), "old\n") << "the last line before that time";
}

TEST(LogDamage, HalfARecordAtTheEndIsNotShownAndHidesNothing)
{
  ScratchDirectory whole;
  writer_in(whole).write(LogStream::output, "torn away\n");
  const std::string record = content(whole.path() + "/log");
  for (size_t cut = 33; cut < record.size(); cut++) {
    ScratchDirectory directory;
    append_to(directory.path() + "/log", record.substr(0, cut));
    EXPECT_EQ(read_log(directory), "") << cut;
    writer_in(directory).write(LogStream::output, "after\n");
    EXPECT_EQ(read_log(directory), "after\n") << cut;
    EXPECT_EQ(read_log(directory, {.tail_lines = 1}), "after\n") << cut;
  }
}

TEST(LogDamage, GarbageBetweenRecordsIsSkipped)
{
  ScratchDirectory directory;
  writer_in(directory).write(LogStream::output, "one\n");
  append_to(directory.path() + "/log", std::string(400'000, 'g'));
  writer_in(directory).write(LogStream::output, "two\n");
  EXPECT_EQ(read_log(directory), "one\ntwo\n");
  EXPECT_EQ(read_log(directory, {.tail_lines = 2}), "one\ntwo\n");
}

TEST(LogDamage, AFileThatIsNoLogIsPutAside)
{
  ScratchDirectory directory;
  append_to(directory.path() + "/log", "rubbish, longer than a head of a log file is");
  writer_in(directory).write(LogStream::output, "fine\n");
  EXPECT_EQ(read_log(directory), "fine\n");
}

TEST(LogDamage, ANewerVersionIsRefusedInWords)
{
  ScratchDirectory directory;
  append_to(directory.path() + "/log", "conductor log 9\n0123456789abcdef");
  EXPECT_THROW(read_log(directory), Error);
}

TEST(LogDamage, WhatAContainerPrintsCannotLookLikeARecord)
{
  ScratchDirectory directory;
  LogWriter writer = writer_in(directory);
  writer.write(LogStream::output, "first\n");
  const std::string stolen =
      content(directory.path() + "/log"); // it knows the format, and even the mark of another log
  ScratchDirectory victim;
  LogWriter other = writer_in(victim);
  other.write(LogStream::output, stolen + "\n");
  other.write(LogStream::output, "last\n");
  EXPECT_EQ(read_log(victim), stolen + "\nlast\n");
  EXPECT_EQ(read_log(victim, {.tail_lines = 1}), "last\n");
}

TEST(LogDamage, AFullDiskLosesOutputAndSaysHowMuch)
{
  ScratchDirectory directory;
  Child child = fork_child([&] {
    LogWriter writer = writer_in(directory);
    writer.write(LogStream::output, "kept\n");
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit); // a write that crosses it is cut short, as on a full disk
    writer.write(LogStream::output, std::string(500, 'x'));
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    writer.write(LogStream::output, "again\n");
    return 0;
  });
  EXPECT_EQ(end_of(child).shell(), 0);
  EXPECT_EQ(read_log(directory), "kept\n[conductor: 500 bytes could not be logged]\nagain\n");
}

TEST(LogPrinter, StampsEachLineOfEachStream)
{
  LogPrinter printer{true, LogPrinter::Bytes::raw};
  std::string out;
  printer.print({1'500'000'000'123'456'789, LogStream::output, "a\nb"}, out);
  printer.print({1'500'000'001'000'000'000, LogStream::error, "e\n"}, out);
  printer.print({1'500'000'002'000'000'000, LogStream::output, "c\n"}, out);
  EXPECT_EQ(out, "2017-07-14T02:40:00.123456789Z a\n2017-07-14T02:40:00.123456789Z b"
                 "2017-07-14T02:40:01.000000000Z e\nc\n");
}

TEST(LogPrinter, ShowsControlCharactersAsText)
{
  LogPrinter printer{false, LogPrinter::Bytes::visible};
  std::string out;
  printer.print({0, LogStream::terminal,
                 "a\x1b[31m\tb\x07\r\n\xc3\xa9 \xc2\x9b"
                 "c\rd\r"},
                out);
  printer.print({0, LogStream::terminal, "\nlast"}, out);
  EXPECT_EQ(out, "a\\x1b[31m\tb\\x07\n\xc3\xa9 \xc2\\x9bc\\x0dd\nlast");
}
