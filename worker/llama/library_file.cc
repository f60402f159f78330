#include "worker/llama/library_file.h"

#include <dlfcn.h>
#include <glog/logging.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "llama_build.h"

namespace parity::llama {
namespace {

constexpr char kName[] = "libllama.so";
// What llama.cpp's own build calls it for programs (SOVERSION 0); packages of a system carry
// libllama.so for developers only.
constexpr char kRunTimeName[] = "libllama.so.0";

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// Where deploy/fetch puts it; empty without a home.
std::string CachedLibrary() {
  constexpr char kBelow[] = "/parity/llama/lib/libllama.so";
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return absl::StrCat(cache, kBelow);
  const char* const home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  return absl::StrCat(home, "/.cache", kBelow);
}

// A file name alone, which is the loader's to find.
bool IsName(const std::string& place) { return !absl::StrContains(place, '/'); }

LibraryFile Opened(void* library) {
  link_map* map = nullptr;
  CHECK_EQ(dlinfo(library, RTLD_DI_LINKMAP, &map), 0) << dlerror();
  return {library, map->l_name};
}

}  // namespace

std::vector<std::string> LibraryPlaces(const std::string& chosen) {
  if (!chosen.empty()) {
    std::error_code ignored;
    if (std::filesystem::is_directory(chosen, ignored)) {
      return {absl::StrCat(chosen, "/lib/", kName), absl::StrCat(chosen, "/", kName)};
    }
    return {IsName(chosen) ? absl::StrCat("./", chosen) : chosen};
  }
  std::vector<std::string> places = {absl::StrCat(PARITY_LLAMA_FOLDER, "/", kName)};
  std::string cached = CachedLibrary();
  if (!cached.empty() && cached != places[0]) places.push_back(std::move(cached));
  places.push_back(kName);
  places.push_back(kRunTimeName);
  return places;
}

absl::StatusOr<LibraryFile> OpenLibraryFile(const std::string& chosen) {
  const std::vector<std::string> places = LibraryPlaces(chosen);
  for (const std::string& place : places) {
    if (!IsName(place) && !Exists(place)) continue;
    void* const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) return Opened(library);
    const std::string text = dlerror();
    absl::string_view error = text;
    absl::ConsumePrefix(&error, absl::StrCat(place, ": "));
    // A name may stand for nothing; a library that is there and lacks another is to be mended.
    if (IsName(place) && absl::StartsWith(error, "cannot open shared object file")) continue;
    return absl::FailedPreconditionError(absl::StrCat(place, " does not open: ", error));
  }
  return absl::NotFoundError(
      absl::StrCat("no libllama: looked for ", absl::StrJoin(places, ", "),
                   "; run deploy/fetch llama, or name its folder with --llama-library"));
}

}  // namespace parity::llama
