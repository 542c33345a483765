// Which ids the user of a container means, by the image's own /etc/passwd and /etc/group.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace conductor {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups; // supplementary, gid first, each once
  std::string name;          // empty where passwd does not know the number
  std::string home = "/";    // for HOME
  std::string shell;         // empty where passwd names none
};

// user: "", "1000", "1000:1000", "name", "name:group", "1000:group". A number is a number even where somebody is named
// so (CVE-2016-3697). passwd, group: the text of the files, empty when they are not there. Throws Error (status 126)
// for an unknown name and for odd ids ("0x0", "+1", "-1", "4294967295", "1000:").
User resolve_user(std::string_view user, std::string_view passwd, std::string_view group);

// The same with the files of an image, read in root and bounded. A file that is no regular file or too large is as good
// as none for a number, and an Error where a name needs it.
User resolve_user_in_root(int root, std::string_view user);
// Who --chown means, by the same files: a number without a group has the group of that number.
User resolve_owner_in_root(int root, std::string_view owner);

} // namespace conductor
