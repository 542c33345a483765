// Which ids a user means: numbers before names, odd ids refused, the image's files bounded.

#include "core/base/error.h"
#include "core/container/user.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/handle.h"

using namespace conductor;
namespace fs = std::filesystem;

namespace {

constexpr const char* passwd = "root:x:0:0:root:/root:/bin/bash\n"
                               "# a comment\n"
                               "broken line\n"
                               "short:x:5\n"
                               "web:x:33:33:www:/var/www:/usr/sbin/nologin\n"
                               "1000:x:7:7:a number as a name:/seven:\n"
                               "odd:x:0x0:0::/:\n"
                               "last:x:1001:1002::relative:/bin/sh";
constexpr const char* group = "root:x:0:\nadm:x:4:web,root\nwww:x:33:\nshared:x:60:other,web\n+web:x:61:webster\n";

using Groups = std::vector<gid_t>;

User user(std::string_view text) { return resolve_user(text, passwd, group); }

std::string refusal(std::string_view text)
{
  try {
    user(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), 126);
    return error.what();
  }
  return "";
}

TEST(User, nothing_means_root)
{
  const User root = user("");
  EXPECT_EQ(root.uid, 0U);
  EXPECT_EQ(root.gid, 0U);
  EXPECT_EQ(root.home, "/root");
  EXPECT_EQ(root.groups, (Groups{0, 4}));
}

TEST(User, nothing_means_root_without_a_passwd)
{
  const User root = resolve_user("", "", "");
  EXPECT_EQ(root.uid, 0U);
  EXPECT_EQ(root.home, "/");
  EXPECT_EQ(root.groups, Groups{0});
}

TEST(User, a_name_brings_its_groups_and_home)
{
  const User web = user("web");
  EXPECT_EQ(web.uid, 33U);
  EXPECT_EQ(web.gid, 33U);
  EXPECT_EQ(web.groups, (Groups{33, 4, 60}));
  EXPECT_EQ(web.home, "/var/www");
  EXPECT_EQ(web.shell, "/usr/sbin/nologin");
}

TEST(User, a_number_wins_over_a_name)
{
  EXPECT_EQ(user("1000").uid, 1000U);
  EXPECT_EQ(user("1000").gid, 0U);
}

TEST(User, a_number_known_to_passwd_brings_its_row)
{
  EXPECT_EQ(user("33").gid, 33U);
  EXPECT_EQ(user("33").home, "/var/www");
  EXPECT_EQ(user("33").groups, (Groups{33, 4, 60}));
}

TEST(User, a_group_of_its_own_is_the_only_one)
{
  EXPECT_EQ(user("web:adm").gid, 4U);
  EXPECT_EQ(user("web:adm").groups, Groups{4});
  EXPECT_EQ(user("1000:2000").gid, 2000U);
  EXPECT_EQ(user("1000:shared").gid, 60U);
  EXPECT_EQ(user("web:5").uid, 33U);
}

TEST(User, the_last_line_needs_no_line_end)
{
  EXPECT_EQ(user("last").uid, 1001U);
  EXPECT_EQ(user("last").home, "/"); // a relative home is none
}

TEST(User, odd_ids_are_refused)
{
  for (const char* text : {"0x0", "+1", "-1", "4294967296", "4294967295", "1000:", ":", ":0", "1000:-1", "1000:0x0",
                           "1 000", "1000:1000:1000", "99999999999999999999", "0 "})
    EXPECT_NE(refusal(text), "") << text;
}

TEST(User, unknown_names_are_refused)
{
  EXPECT_EQ(refusal("nobody"), "cannot run as user 'nobody': the image's /etc/passwd knows no 'nobody'");
  EXPECT_NE(refusal("web:nogroup"), "");
  EXPECT_NE(refusal("odd"), "");
  EXPECT_NE(refusal("short"), "");
}

class UserInRoot : public testing::Test {
protected:
  UserInRoot()
  {
    std::string pattern = (fs::temp_directory_path() / "conductor-user-XXXXXX").string();
    top_ = ::mkdtemp(pattern.data());
    fs::create_directories(top_ / "etc");
    root_ = Fd{::open(top_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  }
  ~UserInRoot() override { fs::remove_all(top_); }
  fs::path top_;
  Fd root_;
};

TEST_F(UserInRoot, reads_the_files_of_the_image)
{
  std::ofstream{top_ / "etc/passwd"} << passwd;
  EXPECT_EQ(resolve_user_in_root(root_.get(), "web").uid, 33U);
}

TEST_F(UserInRoot, a_link_of_the_image_does_not_reach_the_host)
{
  fs::create_symlink("/etc/passwd", top_ / "etc/passwd"); // to itself, seen from inside
  EXPECT_EQ(resolve_user_in_root(root_.get(), "0").uid, 0U);
  EXPECT_THROW(resolve_user_in_root(root_.get(), "root"), Error);
}

TEST_F(UserInRoot, a_fifo_is_no_passwd)
{
  ::mkfifo((top_ / "etc/passwd").c_str(), 0666);
  EXPECT_EQ(resolve_user_in_root(root_.get(), "7").uid, 7U);
  EXPECT_THROW(resolve_user_in_root(root_.get(), "web"), Error);
}

TEST_F(UserInRoot, a_huge_passwd_is_not_read)
{
  std::ofstream{top_ / "etc/passwd"} << passwd;
  fs::resize_file(top_ / "etc/passwd", uintmax_t{1} << 30);
  EXPECT_EQ(resolve_user_in_root(root_.get(), "7").uid, 7U);
  try {
    resolve_user_in_root(root_.get(), "web");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), 126);
    EXPECT_EQ(error.number(), EFBIG);
  }
}

} // namespace
