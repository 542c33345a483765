// Paths of a container stay in its root, whatever links the image holds.

#include "core/kernel/inroot.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace conductor;
using namespace conductor::kernel;
namespace fs = std::filesystem;

namespace {

class InRoot : public testing::Test {
protected:
  InRoot()
  {
    std::string pattern = (fs::temp_directory_path() / "conductor-inroot-XXXXXX").string();
    top_ = ::mkdtemp(pattern.data());
    fs::create_directories(top_ / "root");
    root_ = Fd{::open((top_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  }
  ~InRoot() override { fs::remove_all(top_); }

  void file(const std::string& path, const std::string& content, mode_t mode = 0644)
  {
    fs::create_directories((top_ / path).parent_path());
    std::ofstream{top_ / path} << content;
    ::chmod((top_ / path).c_str(), mode);
  }
  void link(const std::string& target, const std::string& path)
  {
    fs::create_directories((top_ / path).parent_path());
    fs::create_symlink(target, top_ / path);
  }
  int error_of(auto&& attempt)
  {
    try {
      attempt();
    } catch (const Error& error) {
      return error.number();
    }
    return 0;
  }
  Executable find(const std::string& name, const std::string& path = "/bin", const std::string& cwd = "/")
  {
    return lookup_executable_in_root(root_.get(), cwd, path, name);
  }
  std::string reason(const std::string& name, int number = 0)
  {
    return std::string{executable_error(root_.get(), name, find(name), number).sentence()};
  }
  int status(const std::string& name, int number = 0)
  {
    return executable_error(root_.get(), name, find(name), number).status();
  }

  Trace trace_;
  fs::path top_;
  Fd root_;
};

TEST_F(InRoot, an_absolute_link_means_the_root_of_the_container)
{
  file("root/etc/real", "inside");
  file("etc/real", "outside");
  link("/etc/real", "root/link");
  EXPECT_EQ(read_in_root(root_.get(), "/link", 100), "inside");
}

TEST_F(InRoot, dot_dot_does_not_leave)
{
  file("secret", "outside");
  link("../../secret", "root/link");
  EXPECT_EQ(read_in_root(root_.get(), "link", 100), std::nullopt);
  EXPECT_EQ(read_in_root(root_.get(), "/../secret", 100), std::nullopt);
}

TEST_F(InRoot, a_magic_link_is_refused)
{
  EXPECT_EQ(error_of([&] {
              const Fd host{::open("/", O_PATH | O_CLOEXEC)};
              open_in_root(host.get(), "/proc/self/fd/0", O_PATH);
            }),
            ELOOP);
}

TEST_F(InRoot, a_larger_file_is_refused)
{
  file("root/big", std::string(101, 'x'));
  file("root/fits", std::string(100, 'x'));
  EXPECT_EQ(error_of([&] { read_in_root(root_.get(), "big", 100); }), EFBIG);
  EXPECT_EQ(read_in_root(root_.get(), "fits", 100)->size(), 100U);
}

TEST_F(InRoot, a_fifo_and_a_directory_are_not_read)
{
  ::mkfifo((top_ / "root/fifo").c_str(), 0600);
  EXPECT_EQ(error_of([&] { read_in_root(root_.get(), "fifo", 100); }), EINVAL);
  EXPECT_EQ(error_of([&] { read_in_root(root_.get(), "/", 100); }), EINVAL);
}

TEST_F(InRoot, directories_are_made_below_a_link)
{
  link("/real/place", "root/data");
  make_directories_in_root(trace_, root_.get(), "/data/a/b", 0755);
  EXPECT_TRUE(fs::is_directory(top_ / "root/real/place/a/b"));
}

TEST_F(InRoot, directories_are_never_made_outside)
{
  link("../../../outside", "root/up");
  link((top_ / "outside").string(), "root/absolute");
  make_directories_in_root(trace_, root_.get(), "up/a", 0755);
  make_directories_in_root(trace_, root_.get(), "absolute/b/../../../../../c", 0755);
  EXPECT_FALSE(fs::exists(top_ / "outside"));
  EXPECT_TRUE(fs::is_directory(top_ / "root/outside/a"));
  EXPECT_TRUE(fs::is_directory(top_ / "root/c"));
}

TEST_F(InRoot, a_plain_directory_is_never_reached_by_a_link)
{
  link("/etc", "root/proc");
  link("missing", "root/dev");
  const auto make = [&](const char* path) { make_plain_directories_in_root(trace_, root_.get(), path, 0755); };
  EXPECT_EQ(error_of([&] { make("proc"); }), ELOOP);
  EXPECT_EQ(error_of([&] { make("dev"); }), ELOOP);
  EXPECT_EQ(error_of([&] { make("dev/pts"); }), ELOOP);
  EXPECT_EQ(error_of([&] { make("sys/fs"); }), 0);
  EXPECT_TRUE(fs::is_directory(top_ / "root/sys/fs"));
  EXPECT_FALSE(fs::exists(top_ / "root/missing"));
}

TEST_F(InRoot, the_root_itself_is_a_directory)
{
  EXPECT_TRUE(make_directories_in_root(trace_, root_.get(), "/", 0755));
  EXPECT_TRUE(make_directories_in_root(trace_, root_.get(), "", 0755));
}

TEST_F(InRoot, links_in_a_circle_end)
{
  link("b", "root/a");
  link("a", "root/b");
  EXPECT_EQ(error_of([&] { make_directories_in_root(trace_, root_.get(), "a/c", 0755); }), ELOOP);
}

TEST_F(InRoot, a_file_in_the_way_is_said)
{
  file("root/file", "");
  EXPECT_EQ(error_of([&] { make_directories_in_root(trace_, root_.get(), "file/c", 0755); }), ENOTDIR);
  fs::create_directory(top_ / "root/dir");
  EXPECT_EQ(error_of([&] { make_file_in_root(trace_, root_.get(), "dir", 0644); }), EISDIR);
}

TEST_F(InRoot, a_mount_target_keeps_its_content)
{
  file("root/etc/hosts", "mine");
  EXPECT_TRUE(make_file_in_root(trace_, root_.get(), "/etc/hosts", 0644));
  EXPECT_EQ(read_in_root(root_.get(), "/etc/hosts", 100), "mine");
  EXPECT_TRUE(make_file_in_root(trace_, root_.get(), "/new/place/file", 0644));
  EXPECT_TRUE(fs::is_regular_file(top_ / "root/new/place/file"));
}

TEST_F(InRoot, a_dangling_link_as_mount_target_is_made_inside)
{
  link("/run/resolv.conf", "root/etc/resolv.conf");
  make_file_in_root(trace_, root_.get(), "/etc/resolv.conf", 0644);
  EXPECT_TRUE(fs::is_regular_file(top_ / "root/run/resolv.conf"));
}

TEST_F(InRoot, created_files_stay_inside)
{
  link((top_ / "canary").string(), "root/out");
  EXPECT_EQ(error_of([&] { create_in_root(trace_, root_.get(), "out", O_WRONLY, 0644); }), ENOENT);
  EXPECT_TRUE(create_in_root(trace_, root_.get(), "in", O_WRONLY, 0644));
  EXPECT_FALSE(fs::exists(top_ / "canary"));
}

TEST_F(InRoot, a_command_is_found_along_path)
{
  file("root/usr/bin/tool", "x", 0755);
  EXPECT_EQ(find("tool", "/bin:/usr/bin").path, "/usr/bin/tool");
  EXPECT_EQ(find("tool", "/bin").result, Lookup::not_found);
  EXPECT_EQ(find("tool", ":/bin", "/usr/bin").path, "/usr/bin/tool");
  EXPECT_EQ(find("./tool", "", "/usr/bin").path, "/usr/bin/./tool");
}

TEST_F(InRoot, one_without_x_does_not_hide_a_later_one)
{
  file("root/bin/tool", "x", 0644);
  EXPECT_EQ(find("tool", "/bin:/usr/bin").result, Lookup::not_executable);
  file("root/usr/bin/tool", "x", 0755);
  EXPECT_EQ(find("tool", "/bin:/usr/bin").path, "/usr/bin/tool");
}

TEST_F(InRoot, a_command_through_a_link_to_outside_is_not_found)
{
  file("tool", "x", 0755);
  link((top_ / "tool").string(), "root/bin/tool");
  EXPECT_EQ(find("tool").result, Lookup::not_found);
}

TEST_F(InRoot, what_is_not_there_ends_with_127)
{
  EXPECT_EQ(status("nothing"), 127);
  EXPECT_EQ(reason("nothing"), "cannot run 'nothing': no such program in the image's PATH");
  EXPECT_EQ(status("/bin/nothing"), 127);
}

TEST_F(InRoot, what_cannot_be_executed_ends_with_126)
{
  file("root/bin/data", "x", 0644);
  EXPECT_EQ(status("data"), 126);
  EXPECT_EQ(reason("data"), "cannot run 'data': /bin/data is not executable");
  EXPECT_EQ(status("/bin"), 126);
  EXPECT_EQ(reason("/bin"), "cannot run '/bin': /bin is a directory");
}

TEST_F(InRoot, a_missing_interpreter_is_named)
{
  file("root/bin/script", "#! /usr/bin/python3 -E\nprint()\n", 0755);
  EXPECT_EQ(status("script", ENOENT), 127);
  EXPECT_NE(reason("script", ENOENT).find("the interpreter /usr/bin/python3"), std::string::npos);
}

TEST_F(InRoot, windows_line_ends_are_named)
{
  file("root/bin/script", "#!/bin/sh\r\necho\r\n", 0755);
  file("root/bin/sh", "x", 0755);
  EXPECT_NE(reason("script", ENOENT).find("carriage return"), std::string::npos);
}

TEST_F(InRoot, a_foreign_program_is_named)
{
  std::string elf(64, '\0');
  elf.replace(0, 6, "\177ELF\2\1");
  elf[18] = 22; // EM_S390, which no test machine is
  file("root/bin/foreign", elf, 0755);
  EXPECT_EQ(status("foreign", ENOEXEC), 126);
  EXPECT_NE(reason("foreign", ENOEXEC).find("a program for s390x"), std::string::npos);
}

TEST_F(InRoot, a_missing_loader_is_named)
{
  std::ifstream self{"/proc/self/exe", std::ios::binary};
  std::string bytes(8192, '\0');
  self.read(bytes.data(), 8192);
  file("root/bin/dynamic", bytes, 0755);
  EXPECT_EQ(status("dynamic", ENOENT), 127);
  EXPECT_NE(reason("dynamic", ENOENT).find("needs the loader /lib"), std::string::npos);
}

TEST_F(InRoot, text_without_interpreter_line_is_named)
{
  file("root/bin/text", "echo hello\n", 0755);
  EXPECT_EQ(status("text", ENOEXEC), 126);
  EXPECT_NE(reason("text", ENOEXEC).find("nor a script"), std::string::npos);
  file("root/bin/empty", "", 0755);
  EXPECT_NE(reason("empty", ENOEXEC).find("is empty"), std::string::npos);
}

TEST(ProgramHead, cut_headers_do_no_harm)
{
  std::string elf(64, '\377');
  elf.replace(0, 6, "\177ELF\2\1");
  for (size_t length = 0; length <= elf.size(); ++length) read_program_head(std::string_view{elf}.substr(0, length));
  EXPECT_EQ(read_program_head("#!").interpreter, "");
  EXPECT_EQ(read_program_head("#!/bin/sh").interpreter, "/bin/sh");
  EXPECT_EQ(read_program_head("#!\t/bin/sh -e\n").interpreter, "/bin/sh");
}

} // namespace
