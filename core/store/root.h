// The state directory (root) and the runtime directory (run) of one conductor, and where everything lies in them.
//
//   root/format            integer; any other than ours is refused
//   root/id                32 random hex digits: the mark of everything this root makes in the kernel
//   root/lock              the root's lock (upgrades, names)
//   root/layers/<id>/      diff/ (an overlay layer), layer.json; the id is the sha256 of the layer's tar archive
//   root/blobs/sha256/<digest>  the packed form of layers that were made elsewhere
//   root/images/id/<id>    one JSON file an image;  root/images/name/<reference>  symlink to ../id/<id> ('/' as '%2F')
//   root/cache/<key>       symlink to a layer id: what a build step made before
//   root/build/            what helps builds and may go at any time: caches of RUN, known contents, reasons
//   root/containers/id/<id>/   spec.json status.json network.json lock rw/{upper,work} log/
//   root/containers/name/<name>  symlink to ../id/<id>
//   root/volumes/<name>/data  a volume; those without a name lie in containers/id/<id>/volumes/<number>/data
//   root/network/<index>  symlink to a container id: this link, and with it this address, is taken
//   root/tmp/              what is being made; removed when nobody holds its lock
//   root/run               symlink to the runtime directory in use
//   run/journal            one JSON line a life-cycle fact
//   run/lock               who may talk to whom is being changed
//   run/c/<id>/            keeper.sock, sessions/, end (kept for how it ends), link (its link is there), and hosts and
//                          resolv.conf, bound into the container
//   run/root               symlink to the root's id: whose runtime directory this is; made last
//   run/ids/<first id>     symlink to a container id: this range of user ids is taken
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <chrono>
#include <string>
#include <string_view>

namespace conductor {

inline constexpr int store_format = 2; // 1: images without an OCI configuration, layers of random ids

// What front ends ask first. Throws Error "conductor needs root" with `command` behind sudo as the hint.
void need_root(std::string_view command);

class Root {
public:
  // Opens both directories, making what is missing (0700). Throws Error: no permission, read-only or full, another
  // format, somebody else's directory. Six system calls when all is there.
  Root(Trace& trace, std::string root_path, std::string run_path);

  int dir() const { return root_.get(); }
  int run() const { return run_.get(); }
  const std::string& path() const { return root_path_; }
  const std::string& run_path() const { return run_path_; }
  const std::string& id() const { return id_; }
  Trace& trace() const { return trace_; }

private:
  Trace& trace_;
  std::string root_path_, run_path_;
  Fd root_, run_;
  std::string id_;
};

// flock(2) on a file, opened anew so that each process has its own. The holder's verb and pid are written into it.
class Lock {
public:
  // Waits at most `patience`; then throws Error naming the verb and pid of the holder. path is relative to `at`; what:
  // "container 'web'". Whoever waited must look again whether the container is still there.
  Lock(int at, const std::string& path, std::string_view verb, std::chrono::milliseconds patience,
       std::string_view what);
  void release() { fd_.reset(); }
  // A child program that inherited the descriptor must close it, or the lock outlives its owner.
  int fd() const { return fd_.get(); }

private:
  Fd fd_;
};

} // namespace conductor
