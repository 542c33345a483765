#include "core/image/registry/transport.h"

#include "core/container/spec.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>

#include <curl/curl.h>
#include <dlfcn.h>

namespace conductor::image::registry {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t most_header_bytes = 64 << 10;
constexpr int poll_milliseconds = 100; // how late an interrupt is seen
constexpr long connect_milliseconds = 15'000;
constexpr long buffer_bytes = 512 << 10;

// The functions of libcurl that are used, by the names that <curl/curl.h> gives their types.
struct Library {
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  CURLcode (*easy_setopt)(CURL*, CURLoption, ...) = nullptr;
  CURLcode (*easy_getinfo)(CURL*, CURLINFO, ...) = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_multi_init) multi_init = nullptr;
  decltype(&::curl_multi_cleanup) multi_cleanup = nullptr;
  decltype(&::curl_multi_add_handle) multi_add_handle = nullptr;
  decltype(&::curl_multi_remove_handle) multi_remove_handle = nullptr;
  decltype(&::curl_multi_perform) multi_perform = nullptr;
  decltype(&::curl_multi_poll) multi_poll = nullptr;
  decltype(&::curl_multi_info_read) multi_info_read = nullptr;
};

template <class Function>
void find(void* handle, const char* name, Function& function)
{
  function = reinterpret_cast<Function>(::dlsym(handle, name));
  if (function == nullptr) throw Error{std::string{"libcurl.so.4 has no function "} + name};
}

Library load_library()
{
  void* handle = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    throw Error{"registries cannot be asked: libcurl.so.4 cannot be loaded", 0, "apt-get install libcurl4"};
  Library library;
  find(handle, "curl_global_init", library.global_init);
  find(handle, "curl_easy_init", library.easy_init);
  find(handle, "curl_easy_cleanup", library.easy_cleanup);
  find(handle, "curl_easy_reset", library.easy_reset);
  find(handle, "curl_easy_setopt", library.easy_setopt);
  find(handle, "curl_easy_getinfo", library.easy_getinfo);
  find(handle, "curl_easy_strerror", library.easy_strerror);
  find(handle, "curl_slist_append", library.slist_append);
  find(handle, "curl_slist_free_all", library.slist_free_all);
  find(handle, "curl_multi_init", library.multi_init);
  find(handle, "curl_multi_cleanup", library.multi_cleanup);
  find(handle, "curl_multi_add_handle", library.multi_add_handle);
  find(handle, "curl_multi_remove_handle", library.multi_remove_handle);
  find(handle, "curl_multi_perform", library.multi_perform);
  find(handle, "curl_multi_poll", library.multi_poll);
  find(handle, "curl_multi_info_read", library.multi_info_read);
  if (library.global_init(CURL_GLOBAL_ALL) != CURLE_OK) throw Error{"start libcurl", ENOMEM};
  return library;
}

const Library& curl()
{
  static const Library library = load_library();
  return library;
}

std::string lowered(std::string_view text)
{
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// One exchange while it runs: what the library calls back.
struct Exchange {
  const Request& request;
  Response response{};
  size_t header_bytes = 0;
  size_t sent = 0; // of request.body
  std::exception_ptr thrown{};
  Clock::time_point moved = Clock::now(); // when a byte last went either way

  bool fail(std::exception_ptr what)
  {
    if (!thrown) thrown = std::move(what);
    return false;
  }

  bool take_header(std::string_view line)
  {
    moved = Clock::now();
    header_bytes += line.size();
    if (header_bytes > most_header_bytes)
      return fail(std::make_exception_ptr(TransferError{
          Error{request.url.host_and_port() + " sends more than 64 KiB of headers"}, TransferError::Kind::lasting}));
    if (line.starts_with("HTTP/")) { // of an interim answer (100 Continue) nothing is kept
      response.headers.clear();
      return true;
    }
    while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ') || line.ends_with('\t'))
      line.remove_suffix(1);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return true;
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    auto [entry, fresh] = response.headers.emplace(lowered(line.substr(0, colon)), value);
    if (!fresh) entry->second += ", " + std::string{value};
    return true;
  }

  bool take_body(CURL* handle, std::string_view bytes)
  {
    if (response.status == 0) {
      long status = 0;
      curl().easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
      response.status = static_cast<int>(status);
    }
    try {
      if (request.sink && response.good()) {
        request.sink(response, bytes);
      } else {
        // Of the page that tells an error the beginning is enough.
        const size_t room = (response.good() ? request.most : 64 << 10) - std::min(request.most, response.body.size());
        if (response.good() && bytes.size() > room)
          throw TransferError{Error{request.url.host_and_port() + " sends more than the " +
                                    std::to_string(request.most) + " bytes that are possible here"},
                              TransferError::Kind::lasting};
        response.body.append(bytes.substr(0, room));
      }
    } catch (...) {
      return fail(std::current_exception());
    }
    moved = Clock::now(); // behind the sink: the time that unpacking takes is not the registry's
    return true;
  }

  size_t give(char* buffer, size_t room)
  {
    moved = Clock::now();
    try {
      if (request.source) return request.source(buffer, room);
    } catch (...) {
      fail(std::current_exception());
      return CURL_READFUNC_ABORT;
    }
    const size_t count = std::min(room, request.body.size() - sent);
    std::memcpy(buffer, request.body.data() + sent, count);
    sent += count;
    return count;
  }
};

struct Callbacks {
  Exchange& exchange;
  CURL* handle;

  static size_t header(char* data, size_t size, size_t count, void* self)
  {
    return static_cast<Callbacks*>(self)->exchange.take_header({data, size * count}) ? size * count : 0;
  }
  static size_t body(char* data, size_t size, size_t count, void* self)
  {
    auto* me = static_cast<Callbacks*>(self);
    return me->exchange.take_body(me->handle, {data, size * count}) ? size * count : 0;
  }
  static size_t read(char* buffer, size_t size, size_t count, void* self)
  {
    return static_cast<Callbacks*>(self)->exchange.give(buffer, size * count);
  }
  // What is sent from a buffer can be sent again from its beginning; a source cannot.
  static int seek(void* self, curl_off_t offset, int origin)
  {
    Exchange& exchange = static_cast<Callbacks*>(self)->exchange;
    if (exchange.request.source || origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_CANTSEEK;
    exchange.sent = 0;
    return CURL_SEEKFUNC_OK;
  }
};

using Kind = TransferError::Kind;
struct Meaning {
  CURLcode code;
  const char* text;
  Kind kind;
  const char* hint;
};
constexpr Meaning meanings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "its name is not known", Kind::lasting,
     "is it written as it should be, and does DNS work?"},
    {CURLE_COULDNT_CONNECT, "nobody answers there", Kind::transient,
     "does it run, and does a firewall let us through?"},
    {CURLE_OPERATION_TIMEDOUT, "it does not answer in time", Kind::transient, ""},
    {CURLE_PARTIAL_FILE, "the connection broke off", Kind::transient, ""},
    {CURLE_RECV_ERROR, "the connection broke off", Kind::transient, ""},
    {CURLE_SEND_ERROR, "the connection broke off", Kind::transient, ""},
    {CURLE_GOT_NOTHING, "it closed the connection without an answer", Kind::transient, ""},
    {CURLE_HTTP2, "the connection broke off", Kind::transient, ""},
    {CURLE_HTTP2_STREAM, "the connection broke off", Kind::transient, ""},
    {CURLE_SSL_CONNECT_ERROR, "no encrypted connection comes about", Kind::handshake,
     "if it speaks plain HTTP only, say so: --plain-http"},
    {CURLE_PEER_FAILED_VERIFICATION, "its certificate is not to be trusted", Kind::lasting,
     "a certificate authority of your own is named with --tls-ca FILE"},
    {CURLE_SSL_CACERT_BADFILE, "the file of --tls-ca cannot be read", Kind::lasting, ""},
    {CURLE_SSL_CERTPROBLEM, "the client certificate cannot be used", Kind::lasting, ""},
    {CURLE_WEIRD_SERVER_REPLY, "what answers there is no registry", Kind::lasting, ""},
    {CURLE_UNSUPPORTED_PROTOCOL, "what answers there is no registry", Kind::lasting, ""},
};

[[noreturn]] void fail(const Url& url, CURLcode code, const char* detail)
{
  const auto* found =
      std::find_if(std::begin(meanings), std::end(meanings), [&](const Meaning& row) { return row.code == code; });
  const bool known = found != std::end(meanings);
  std::string sentence = "ask " + url.host_and_port() + ": " + (known ? found->text : curl().easy_strerror(code));
  if (*detail != '\0') sentence += std::string{" ("} + visible(detail, 200) + ")";
  throw TransferError{Error{std::move(sentence), 0, known ? found->hint : ""}, known ? found->kind : Kind::lasting};
}

} // namespace

std::string Response::header(const std::string& name) const
{
  const auto found = headers.find(name);
  return found == headers.end() ? std::string{} : found->second;
}

struct Transport::State {
  TransportOptions options;
  CURL* easy = curl().easy_init();
  CURLM* multi = curl().multi_init();
  curl_slist* headers = nullptr;
  char detail[CURL_ERROR_SIZE] = "";

  explicit State(TransportOptions wanted) : options(std::move(wanted)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State()
  {
    curl().slist_free_all(headers);
    curl().easy_cleanup(easy);
    curl().multi_cleanup(multi);
  }

  template <class Value>
  void set(CURLoption option, Value value)
  {
    if (const CURLcode code = curl().easy_setopt(easy, option, value); code != CURLE_OK)
      throw Error{std::string{"set up libcurl: "} + curl().easy_strerror(code)};
  }

  void prepare(const Request& request, Callbacks& callbacks);
  CURLcode run(const Trace& trace, const Exchange& exchange, const std::function<bool()>& stop);
};

void Transport::load() { curl(); }

Transport::Transport(const TransportOptions& options) : state_(std::make_unique<State>(options))
{
  if (state_->easy == nullptr || state_->multi == nullptr) throw Error{"start libcurl", ENOMEM};
}

Transport::~Transport() = default;

void Transport::State::prepare(const Request& request, Callbacks& callbacks)
{
  curl().easy_reset(easy); // keeps the connections
  curl().slist_free_all(std::exchange(headers, nullptr));
  detail[0] = '\0';
  const std::string address = request.url.text();
  set(CURLOPT_URL, address.c_str());
  set(CURLOPT_PROTOCOLS_STR, request.url.is_secure() ? "https" : "http");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, detail);
  set(CURLOPT_USERAGENT, "conductor/" CONDUCTOR_VERSION);
  set(CURLOPT_CONNECTTIMEOUT_MS, std::min<long>(connect_milliseconds, static_cast<long>(options.stall.count())));
  set(CURLOPT_BUFFERSIZE, buffer_bytes);
  set(CURLOPT_SSL_VERIFYPEER, options.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, options.verify ? 2L : 0L);
  if (!options.authorities.empty()) {
    curl_blob certificates{options.authorities.data(), options.authorities.size(), CURL_BLOB_NOCOPY};
    set(CURLOPT_CAINFO_BLOB, &certificates);
  }
  if (!options.client_certificate.empty() && request.url.origin() == options.client_origin) {
    set(CURLOPT_SSLCERT, options.client_certificate.c_str());
    set(CURLOPT_SSLKEY, options.client_key.c_str());
  }
  if (request.url.is_loopback()) set(CURLOPT_PROXY, ""); // a proxy of the environment has another loopback

  // A POST without a body and without these would wait for "100 Continue", or be sent in chunks.
  std::vector<std::string> lines = request.headers;
  lines.emplace_back("Expect:");
  for (const std::string& line : lines) {
    curl_slist* longer = curl().slist_append(headers, line.c_str());
    if (longer == nullptr) throw Error{"start libcurl", ENOMEM};
    headers = longer;
  }
  set(CURLOPT_HTTPHEADER, headers);

  const auto size = static_cast<curl_off_t>(request.source ? request.body_size : request.body.size());
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT" || request.method == "PATCH") {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, size);
  } else if (request.method == "POST") {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, size);
  }
  if (request.method == "PATCH" || request.method == "DELETE") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  set(CURLOPT_READFUNCTION, &Callbacks::read);
  set(CURLOPT_READDATA, &callbacks);
  set(CURLOPT_SEEKFUNCTION, &Callbacks::seek);
  set(CURLOPT_SEEKDATA, &callbacks);
  set(CURLOPT_HEADERFUNCTION, &Callbacks::header);
  set(CURLOPT_HEADERDATA, &callbacks);
  set(CURLOPT_WRITEFUNCTION, &Callbacks::body);
  set(CURLOPT_WRITEDATA, &callbacks);
}

CURLcode Transport::State::run(const Trace& trace, const Exchange& exchange, const std::function<bool()>& stop)
{
  const Clock::time_point began = Clock::now();
  for (;;) {
    int running = 0;
    if (curl().multi_perform(multi, &running) != CURLM_OK) throw Error{"run libcurl", ENOMEM};
    int left = 0;
    while (const CURLMsg* message = curl().multi_info_read(multi, &left))
      if (message->msg == CURLMSG_DONE) return message->data.result;
    trace.throw_if_interrupted();
    if (stop && stop()) throw Error{"interrupted", EINTR};
    const Clock::time_point now = Clock::now();
    if (now - exchange.moved > options.stall)
      throw TransferError{Error{"ask " + exchange.request.url.host_and_port() + ": nothing has come for " +
                                std::to_string(options.stall.count() / 1000) + " s"},
                          TransferError::Kind::transient};
    if (!exchange.request.sink && !exchange.request.source && now - began > options.documents)
      throw TransferError{Error{"ask " + exchange.request.url.host_and_port() +
                                ": a short answer has taken more than " +
                                std::to_string(options.documents.count() / 1000) + " s"},
                          TransferError::Kind::lasting};
    curl().multi_poll(multi, nullptr, 0, poll_milliseconds, nullptr);
  }
}

Response Transport::send(const Trace& trace, const Request& request, const std::function<bool()>& stop)
{
  Exchange exchange{.request = request};
  Callbacks callbacks{exchange, state_->easy};
  state_->prepare(request, callbacks);
  if (curl().multi_add_handle(state_->multi, state_->easy) != CURLM_OK) throw Error{"run libcurl", ENOMEM};
  CURLcode code = CURLE_OK;
  try {
    code = state_->run(trace, exchange, stop);
  } catch (...) {
    curl().multi_remove_handle(state_->multi, state_->easy);
    throw;
  }
  curl().multi_remove_handle(state_->multi, state_->easy);
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);
  if (code != CURLE_OK) fail(request.url, code, state_->detail);
  long status = 0;
  curl().easy_getinfo(state_->easy, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  exchange.response.url = request.url;
  return std::move(exchange.response);
}

} // namespace conductor::image::registry
