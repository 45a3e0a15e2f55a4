// `copy`: one end of a file's way to another host. Takes descriptors, no paths: 3 is where it comes from, 4 where it goes to,
// 5 the next one that the sealed pieces are passed on to as they are. Key on stdin, reports on stdout: docs/reference/keeper.md.
#include "gcm.h"
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FROM = 3, TO = 4, ONWARD = 5, PIECE = 256 << 10 };
#define TELL_EVERY (200 * MS)
#define CANNOT 69

static uint8_t piece[PIECE + GCM_TAG];
static uint64_t told_at;

static void tell(const char *what, uint64_t number) {
  char line[64];
  int length = snprintf(line, sizeof line, "%s %llu\n", what, (unsigned long long)number);
  if (!write_all(1, line, (size_t)length)) _exit(1);
}

static _Noreturn void fail(const char *where, int error) {
  tell(where, (uint64_t)error);
  _exit(1);
}

static void tell_progress(uint64_t at) {
  uint64_t now = now_ns();
  if (now - told_at < TELL_EVERY) return;
  told_at = now;
  tell("at", at);
}

static bool send_all(int fd, const uint8_t *data, size_t length) {
  while (length > 0) {
    ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n, length -= (size_t)n;
  }
  return true;
}

enum Source { A_PIPE, A_SOCKET, A_FILE };

// Whole, or false with errno; 0 is the end. Other ends of the same copy may read the file by the same description: from `at`.
static bool read_whole(int fd, uint8_t *data, size_t length, enum Source source, uint64_t at) {
  while (length > 0) {
    ssize_t n = source == A_PIPE ? read(fd, data, length) : source == A_FILE ? pread(fd, data, length, (off_t)at) : recv(fd, data, length, MSG_WAITALL);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = 0;
    if (n <= 0) return false;
    data += n, length -= (size_t)n, at += (uint64_t)n;
  }
  return true;
}

// Each piece of a copy has its number, and each copy a key of its own: no nonce serves twice.
static void nonce_of(uint64_t number, uint8_t nonce[GCM_NONCE]) {
  memset(nonce, 0, GCM_NONCE);
  for (int i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(number >> (56 - 8 * i));
}

static void seal(const struct Gcm *g, uint64_t size) {
  uint8_t nonce[GCM_NONCE];
  posix_fadvise(FROM, 0, 0, POSIX_FADV_SEQUENTIAL);
  for (uint64_t at = 0, number = 0; at < size; number++) {
    size_t length = size - at < PIECE ? (size_t)(size - at) : PIECE;
    if (!read_whole(FROM, piece, length, A_FILE, at)) fail("read", errno);
    nonce_of(number, nonce);
    gcm_seal(g, nonce, piece, length, piece + length);
    if (!send_all(TO, piece, length + GCM_TAG)) fail("send", errno);
    at += length;
    tell_progress(at);
  }
}

static void open_and_pass(const struct Gcm *g, uint64_t size, bool onward) {
  uint8_t nonce[GCM_NONCE];
  for (uint64_t at = 0, number = 0; at < size; number++) {
    size_t length = size - at < PIECE ? (size_t)(size - at) : PIECE;
    if (!read_whole(FROM, piece, length + GCM_TAG, A_SOCKET, 0)) fail("receive", errno);
    // First of all on, that the next one works meanwhile. Who is lost there is no reason to stop here.
    if (onward && !send_all(ONWARD, piece, length + GCM_TAG)) {
      onward = false;
      tell("onward", (uint64_t)errno);
      close(ONWARD);
    }
    nonce_of(number, nonce);
    if (!gcm_open(g, nonce, piece, length, piece + length)) fail("content", 0);
    if (!write_all(TO, piece, length)) fail("write", errno);
    at += length;
    tell_progress(at);
  }
}

// The processor's instructions do what the standard says: test case 3 of the authors of GCM.
static bool right(struct Gcm *g) {
  static const uint8_t key[GCM_KEY] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
  static const uint8_t nonce[GCM_NONCE] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
  static const uint8_t plain[64] = {
    0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34,
    0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24,
    0x49, 0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39, 0x1a, 0xaf, 0xd2, 0x55};
  static const uint8_t expected[GCM_TAG] = {0x4d, 0x5c, 0x2a, 0xf3, 0x27, 0xcd, 0x64, 0xa6, 0x2c, 0xf3, 0x5a, 0xbd, 0x2b, 0xa6, 0xfa, 0xb4};
  uint8_t data[64], tag[GCM_TAG];
  memcpy(data, plain, sizeof data);
  gcm_key(g, key);
  gcm_seal(g, nonce, data, sizeof data, tag);
  if (memcmp(tag, expected, GCM_TAG) != 0) return false;
  return gcm_open(g, nonce, data, sizeof data, tag) && memcmp(data, plain, sizeof data) == 0;
}

// seal SIZE | open SIZE [onward] | check
int copy(int argc, char **argv) {
  if (argc < 1) return 64;
  if (!gcm_here()) return CANNOT;
  struct Gcm *g = need(aligned_alloc(64, (gcm_size() + 63) / 64 * 64));
  if (!right(g)) return CANNOT;
  if (strcmp(argv[0], "check") == 0) return 0;
  if (argc < 2) return 64;
  // It ends with the agent, at the latest when it has something to report.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  uint8_t key[GCM_KEY];
  if (!read_whole(0, key, sizeof key, A_PIPE, 0)) return 1;
  gcm_key(g, key);
  // As sockets come from their former owner, they do not wait.
  for (int fd = FROM; fd <= ONWARD; fd++) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  }
  uint64_t size = strtoull(argv[1], NULL, 10);
  told_at = now_ns();
  if (strcmp(argv[0], "seal") == 0) seal(g, size);
  else open_and_pass(g, size, argc > 2);
  tell("done", size);
  return 0;
}
