// Names of bases, and where their packages come from.
#include "core/base/error.h"
#include "core/image/apt.h"
#include "core/image/base.h"
#include "core/image/digest.h"

#include <gtest/gtest.h>

namespace conductor::image {
namespace {

using Strings = std::vector<std::string>;

struct Name {
  const char* written;
  const char* means;
};
class BaseName : public testing::TestWithParam<Name> {};
TEST_P(BaseName, LeadsToOneText)
{
  const auto base = find_base(GetParam().written);
  ASSERT_TRUE(base);
  EXPECT_EQ(base->reference(), GetParam().means);
}
INSTANTIATE_TEST_SUITE_P(
    All, BaseName,
    testing::Values(Name{"debian:12", "debian:bookworm"}, Name{"debian:bookworm", "debian:bookworm"},
                    Name{"debian", "debian:trixie"}, Name{"debian:latest", "debian:trixie"},
                    Name{"debian:12-slim", "debian:bookworm-slim"}, Name{"debian:unstable", "debian:sid"},
                    Name{"ubuntu:22.04", "ubuntu:jammy"}, Name{"ubuntu", "ubuntu:noble"},
                    Name{"busybox", "busybox:latest"}, Name{"docker.io/library/debian:11", "debian:bullseye"},
                    Name{"library/ubuntu:focal", "ubuntu:focal"}, Name{"scratch", "scratch:latest"}));

TEST(BaseName, OtherNamesAreNoBase)
{
  for (const char* name : {"web", "alpine:3", "debian2", "host.example/debian:12", "team/debian"})
    EXPECT_FALSE(find_base(name)) << name;
}

TEST(BaseName, UnknownTagNamesTheNearest)
{
  try {
    find_base("debian:bokworm");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.sentence(), "debian has no 'bokworm'");
    EXPECT_EQ(error.hint(), "did you mean 'bookworm'?");
  }
}

TEST(Apt, OneLineSources)
{
  const auto sources =
      parse_one_line_sources("# deb http://no x main\n"
                             "deb http://m/debian bookworm main contrib # and a comment\n"
                             "deb-src http://m/debian bookworm main\n"
                             "deb [ arch=amd64 signed-by=/k.gpg trusted=yes ] https://o/x stable main\n"
                             "deb broken\n");
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].uris, Strings{"http://m/debian"});
  EXPECT_EQ(sources[0].components, (Strings{"main", "contrib"}));
  EXPECT_EQ(sources[1].signed_by, "/k.gpg");
  EXPECT_TRUE(sources[1].trusted);
}

TEST(Apt, Deb822Sources)
{
  const auto sources =
      parse_deb822_sources("Types: deb deb-src\n"
                           "# a comment\n"
                           "URIs: http://m/debian\n http://n/debian\n"
                           "Suites: bookworm bookworm-updates\n"
                           "Components: main\n"
                           "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
                           "\n"
                           "Types: deb\nEnabled: no\nURIs: http://off\nSuites: x\nComponents: main\n"
                           "\n\n"
                           "Types: deb\nURIs: http://k\nSuites: x\nComponents: main\n"
                           "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END-----\n");
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].uris, (Strings{"http://m/debian", "http://n/debian"}));
  EXPECT_EQ(sources[0].suites, (Strings{"bookworm", "bookworm-updates"}));
  EXPECT_EQ(sources[1].signed_by, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END-----\n");
}

const Strings debian_suites{"bullseye", "bookworm", "trixie", "sid"};

Strings lines(const std::vector<SuiteSource>& sources)
{
  Strings out;
  for (const SuiteSource& source : sources) out.push_back(one_line(source, ""));
  return out;
}

TEST(Apt, TheHostsArchiveIsChosenNotSomebodysPackages)
{
  const auto host = parse_one_line_sources("deb https://packages.example/linux/debian bookworm stable\n"
                                           "deb https://other.example/apt bookworm main\n"
                                           "deb http://m/debian/ bookworm main\n"
                                           "deb http://m/debian/ bookworm-updates main\n"
                                           "deb http://m/debian-security bookworm-security main\n");
  EXPECT_EQ(lines(choose_sources(host, "debian", "bookworm", debian_suites)),
            (Strings{"deb http://m/debian/ bookworm main", "deb http://m/debian/ bookworm-updates main",
                     "deb http://m/debian-security bookworm-security main"}));
}

TEST(Apt, AnotherSuiteComesFromTheSameArchive)
{
  const auto host = parse_one_line_sources("deb http://m/debian bookworm main\n");
  EXPECT_EQ(lines(choose_sources(host, "debian", "trixie", debian_suites)), Strings{"deb http://m/debian trixie main"});
}

TEST(Apt, TheRollingSuiteStandsAlone)
{
  const auto host =
      parse_one_line_sources("deb http://m/debian bookworm main\ndeb http://m/debian bookworm-updates main\n");
  EXPECT_EQ(lines(choose_sources(host, "debian", "sid", debian_suites)), Strings{"deb http://m/debian sid main"});
}

TEST(Apt, AHostOfAnotherDistributionKnowsNothing)
{
  const auto host = parse_one_line_sources("deb http://m/debian bookworm main\n");
  EXPECT_TRUE(choose_sources(host, "ubuntu", "jammy", {"focal", "jammy"}).empty());
}

TEST(Digest, KnownValue)
{
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, FieldsDoNotRunIntoEachOther)
{
  Digest a, b;
  a.field("ab").field("c");
  b.field("a").field("bc");
  EXPECT_NE(a.hex(), b.hex());
}

} // namespace
} // namespace conductor::image
