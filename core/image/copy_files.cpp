#include "core/image/copy_files.h"

#include "core/base/error.h"
#include "core/container/enter.h"
#include "core/container/id_range.h"
#include "core/engine/launch.h"
#include "core/image/archive_source.h"
#include "core/image/archive_target.h"
#include "core/image/copy_target.h"
#include "core/image/layer_packer.h"
#include "core/store/images.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conductor::image {
namespace {

constexpr size_t piece = 256 << 10;
constexpr const char* stream = "-";

void write_plainly(int fd, std::string_view bytes) { write_whole(fd, bytes, "hand over to the other side"); }

// To the visitor. One that has failed reads no more, and says why when it is asked.
void write_to(Visitor& visitor, std::string_view bytes)
{
  while (!bytes.empty()) {
    visitor.await(POLLOUT);
    const ssize_t written = ::send(visitor.stream(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (written < 0) {
      visitor.finish();
      throw Error{"hand over to the container's side", errno};
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// Everything that comes from a descriptor; wait: before each read.
template <class Wait, class Take>
void read_all_from(int fd, Wait&& wait, Take&& take)
{
  std::string buffer(piece, '\0');
  for (;;) {
    wait();
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) throw Error{"read from the other side", errno};
    if (got == 0) return;
    take(std::string_view{buffer.data(), static_cast<size_t>(got)});
  }
}

// What lies at a path, as an archive with its end. name: of the top in it.
void pack_path(Trace& trace, const Place& place, const CopyPath& path, bool follow, const std::string& name,
               const ByteSink& sink)
{
  const Fd source = open_copy_source(place, path, follow);
  uint64_t left_out = 0;
  pack_entry(trace, source.get(), name, sink, left_out);
  sink(tar_end());
  if (left_out > 0)
    trace.notice(
        fmt::format("{} device{} or socket{} left out", left_out, left_out == 1 ? "" : "s", left_out == 1 ? "" : "s"));
}

class Copying {
public:
  Copying(Context& context, const CopyRequest& request, const Container& container)
      : context_(context), trace_(context.trace), request_(request), container_(container),
        inside_(CopyPath::of(request.inside))
  {
    if (request.outside != stream) outside_ = CopyPath::of(request.outside);
  }

  Copied in()
  {
    const CopyWish wish{.target = inside_,
                        .base = outside_.base(),
                        .contents = streams() || outside_.contents,
                        .stream = streams(),
                        .keep_owner = request_.archive,
                        .ids = container_.spec.user_namespace ? std::optional{ids_per_container} : std::nullopt};
    const Fd input = streams() ? open_input(stream) : Fd{};
    Visitor visitor{context_.root, container_, [&](int theirs) { arrive_inside(theirs, wish); }};
    const ByteSink sink = [&](std::string_view bytes) { write_to(visitor, bytes); };
    if (streams())
      feed_plain(trace_, input.get(), UINT64_MAX, sink);
    else
      pack_path(trace_, Place{Side::host, ""}, outside_, request_.follow, copy_top, sink);
    ::shutdown(visitor.stream(), SHUT_WR);
    Copied copied;
    size_t got = 0;
    read_all_from(
        visitor.stream(), [&] { visitor.await(POLLIN); },
        [&](std::string_view bytes) {
          const size_t take = std::min(bytes.size(), sizeof copied - got);
          std::memcpy(reinterpret_cast<char*>(&copied) + got, bytes.data(), take);
          got += take;
        });
    visitor.finish();
    if (got != sizeof copied) throw Error{"copy: who is in the container has ended", ECHILD};
    return copied;
  }

  Copied out()
  {
    // Of an archive for others the top is called as it is here.
    const std::string top = !streams() ? copy_top : inside_.contents ? "" : inside_.base();
    std::optional<OutputFile> file;
    if (streams()) file.emplace(trace_, "");
    Visitor visitor{context_.root, container_, [&](int theirs) { leave_inside(theirs, top); }};
    const Place place{Side::host, ""};
    CopyTarget target{
        trace_,
        place,
        {.target = outside_, .base = inside_.base(), .contents = inside_.contents, .keep_owner = request_.archive}};
    read_all_from(
        visitor.stream(), [&] { visitor.await(POLLIN); },
        [&](std::string_view bytes) { file ? file->write(bytes) : target.feed(bytes); });
    visitor.finish();
    if (file) {
      file->finish();
      return {.entries = 0, .bytes = file->bytes()};
    }
    target.finish();
    return {.entries = target.entries(), .bytes = target.bytes()};
  }

private:
  bool streams() const { return request_.outside == stream; }

  // In the visitor.
  void arrive_inside(int stream_fd, const CopyWish& wish)
  {
    const Place place{Side::container, container_.spec.name};
    CopyTarget target{trace_, place, wish};
    read_all_from(
        stream_fd, [&] { trace_.throw_if_interrupted(); }, [&](std::string_view bytes) { target.feed(bytes); });
    target.finish();
    const Copied copied{.entries = target.entries(), .bytes = target.bytes()};
    write_plainly(stream_fd, {reinterpret_cast<const char*>(&copied), sizeof copied});
  }

  void leave_inside(int stream_fd, const std::string& top)
  {
    pack_path(trace_, Place{Side::container, container_.spec.name}, inside_, request_.follow, top,
              [&](std::string_view bytes) { write_plainly(stream_fd, bytes); });
  }

  Context& context_;
  Trace& trace_;
  const CopyRequest& request_;
  const Container& container_;
  CopyPath inside_, outside_;
};

} // namespace

Copied copy_files(Context& context, const CopyRequest& request)
{
  const Fd hold = Images{context.root}.hold_layers();
  const std::string name = settle(context, request.id).spec.name;
  // A container that starts or stops meanwhile would have its layers mounted twice, or not any more.
  const Lock lock = lock_container(context, request.id, name);
  const Container container = settle_locked(context, request.id);
  Step step{context.trace, request.into ? "copy into '" + name + "'" : "copy out of '" + name + "'",
            "packed on one side, unpacked on the other, where a process sees nothing but the container's tree"};
  Copying copying{context, request, container};
  const Copied copied = request.into ? copying.in() : copying.out();
  step.done();
  return copied;
}

} // namespace conductor::image
