// Drives a fuzz target:
//
//     conductor-fuzz-NAME [SECONDS [SEED [FILE...]]]    "" for those left out; the files are run as they are, then
//     inputs are made of them conductor-fuzz-NAME 0 0 FILE                      repeats a finding
//
// SECONDS is $CONDUCTOR_FUZZ_SECONDS unless given, else 60 where CI=true and 5 elsewhere. Without a SEED each run is
// another one, and says which. The target runs in a process of its own: whatever it dies of, and when it hangs, the
// input is left in a file beside where it was started, and the status is 1.
#include "fuzz/fuzzing.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace conductor::fuzz;

namespace {

constexpr std::chrono::seconds longest_run{30}; // one input, under sanitizers and beside other tests

// What both processes see.
struct Shared {
  std::atomic<std::uint64_t> runs = 0;
  std::size_t size = 0;
  std::uint8_t input[1 << 20] = {};
};

void run(Shared& shared, std::string_view input)
{
  shared.size = std::min(input.size(), sizeof shared.input);
  std::memcpy(shared.input, input.data(), shared.size);
  LLVMFuzzerTestOneInput(shared.input, shared.size);
  shared.runs.fetch_add(1, std::memory_order_relaxed);
}

void run_all(Shared& shared, const Seeds& files, int seconds, std::uint64_t seed)
{
  for (const std::string& file : files) run(shared, file);
  Seeds seeds = files;
  std::erase(seeds, std::string{});
  Random random{seed};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
  while (std::chrono::steady_clock::now() < end) run(shared, invent(random, seeds));
}

// The status of the child, which is killed when one input takes too long.
int await(pid_t child, const Shared& shared)
{
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  std::uint64_t before = 0;
  pollfd watched{handle, POLLIN, 0};
  while (::poll(&watched, 1, std::chrono::milliseconds{longest_run}.count()) == 0) {
    const std::uint64_t now = shared.runs.load(std::memory_order_relaxed);
    if (now == before) {
      fmt::print(stderr, "an input takes more than {} s\n", longest_run.count());
      ::kill(child, SIGKILL);
      break;
    }
    before = now;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(handle);
  return status;
}

int default_seconds()
{
  if (const char* seconds = std::getenv("CONDUCTOR_FUZZ_SECONDS")) return std::atoi(seconds);
  const char* ci = std::getenv("CI");
  return ci != nullptr && std::string_view{ci} == "true" ? 60 : 5;
}

} // namespace

int main(int argc, char** argv)
{
  const std::vector<std::string> words{argv + 1, argv + argc};
  const auto given = [&](std::size_t at) { return words.size() > at && !words[at].empty(); };
  const int seconds = given(0) ? std::atoi(words[0].c_str()) : default_seconds();
  const std::uint64_t seed = given(1) ? std::strtoull(words[1].c_str(), nullptr, 10) : std::random_device{}();
  Seeds files;
  for (std::size_t i = 2; i < words.size(); ++i) {
    std::ifstream file{words[i], std::ios::binary};
    if (!file) {
      fmt::print(stderr, "cannot read {}\n", words[i]);
      return 2;
    }
    files.emplace_back(std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{});
  }

  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fmt::print(stderr, "no memory to share: {}\n", std::strerror(errno));
    return 2;
  }
  auto& shared = *new (memory) Shared;
  fmt::print("seed {}, {} s, {} files\n", seed, seconds, files.size());
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    run_all(shared, files, seconds, seed);
    std::exit(0); // and with it whatever looks for leaks
  }
  const int status = child < 0 ? -1 : await(child, shared);
  fmt::print("{} inputs\n", shared.runs.load());
  if (status == 0) return 0;
  const std::string finding = fmt::format("{}-finding-{}", std::filesystem::path{argv[0]}.filename().string(), seed);
  std::ofstream{finding, std::ios::binary}.write(reinterpret_cast<const char*>(shared.input),
                                                 static_cast<std::streamsize>(shared.size));
  fmt::print(stderr, "ended with status {:#x}; the input is in {}; again: {} 0 0 {}\n", status, finding, argv[0],
             finding);
  return 1;
}
