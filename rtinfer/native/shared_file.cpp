// Shared files are made under another name and renamed: a reader never maps a half-made one.
#include "rtinfer/native/shared_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace rtinfer::rt {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& what, int error) {
  throw std::runtime_error("cannot " + what + " " + path + ": " + std::strerror(error));
}

}  // namespace

SharedFile SharedFile::create(const std::string& path, size_t bytes) {
  const std::string made = path + ".new";
  unlink(made.c_str());
  const int fd = open(made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) refuse(made, "create", errno);
  // posix_fallocate, not ftruncate: a full tmpfs is an error here, not a SIGBUS in a tick.
  if (const int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes)); error != 0) {
    close(fd);
    unlink(made.c_str());
    refuse(path, "reserve " + std::to_string(bytes) + " bytes for", error);
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  const int error = errno;
  close(fd);
  if (data == MAP_FAILED) refuse(path, "map", error);
  if (rename(made.c_str(), path.c_str()) != 0) {
    const int rename_error = errno;
    munmap(data, bytes);
    refuse(path, "put in place", rename_error);
  }
  return {data, bytes};
}

SharedFile SharedFile::open_read_only(const std::string& path, size_t min_bytes) {
  return open_existing(path, min_bytes, false);
}

SharedFile SharedFile::open_shared(const std::string& path, size_t min_bytes) {
  return open_existing(path, min_bytes, true);
}

SharedFile SharedFile::open_existing(const std::string& path, size_t min_bytes, bool writable) {
  const int fd = open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (fd < 0) refuse(path, "open", errno);
  struct stat status{};
  fstat(fd, &status);
  const auto bytes = static_cast<size_t>(status.st_size);
  if (bytes < min_bytes) {
    close(fd);
    throw std::runtime_error(path + " has " + std::to_string(bytes) + " bytes, expected at least " +
                             std::to_string(min_bytes) + "; it was not written by this version");
  }
  const int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = mmap(nullptr, bytes, access, MAP_SHARED, fd, 0);
  const int error = errno;
  close(fd);
  if (data == MAP_FAILED) refuse(path, "map", error);
  return {data, bytes};
}

SharedFile::SharedFile(SharedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

SharedFile::~SharedFile() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace rtinfer::rt
