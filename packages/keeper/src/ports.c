// Holds TCP ports: bound, not listening. A framework that sets SO_REUSEADDR can listen beside the hold; others get
// EADDRINUSE. The bind itself is exclusive and SO_REUSEADDR set after it, so that two holds never share a port.
#include "keeper.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Hold {
  struct Hold *next;
  uint32_t id;
  int fd;
} Hold;
static Hold *holds;

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} Address;

static bool parse(const char *host, Address *a) {
  memset(a, 0, sizeof *a);
  if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1) a->any.sa_family = AF_INET;
  else if (inet_pton(AF_INET6, *host ? host : "::", &a->v6.sin6_addr) == 1) a->any.sa_family = AF_INET6;
  else return errno = EINVAL, false;
  return true;
}

static int bind_at(Address a, uint16_t port, bool shared) {
  int on = 1, off = 0, fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (a.any.sa_family == AF_INET6) {
    a.v6.sin6_port = htons(port);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  } else {
    a.v4.sin_port = htons(port);
  }
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t size = a.any.sa_family == AF_INET6 ? sizeof a.v6 : sizeof a.v4;
  if (bind(fd, &a.any, size) < 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd;
}

// An asked-for port may be in TIME_WAIT from the attempt before, where only a shared bind gets it; then another
// hold is kept away by a name that belongs to the port.
static int bind_asked(Address a, uint16_t port) {
  int fd = bind_at(a, port, false);
  if (fd >= 0 || errno != EADDRINUSE) return fd;
  static bool in_time_wait;
  in_time_wait = false;
  const char *files[2] = {"/proc/net/tcp", "/proc/net/tcp6"};
  for (int i = 0; i < 2; i++) {
    char line[512];
    FILE *f = fopen(files[i], "re");
    while (f && fgets(line, sizeof line, f)) {
      unsigned local, state;
      if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) == 2 && local == port && state == 6)
        in_time_wait = true;
    }
    if (f) fclose(f);
  }
  if (!in_time_wait) return errno = EADDRINUSE, -1;
  return bind_at(a, port, true);
}

static int bind_any(Address a, uint16_t *port) {
  unsigned low = 32768, high = 60999;
  FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
  if (f && fscanf(f, "%u %u", &low, &high) != 2) low = 32768, high = 60999;
  if (f) fclose(f);
  // Below the ephemeral range, from where few services live; else above it; else anywhere.
  unsigned from = 10240, to = low;
  if (low < 12288) from = high + 1, to = 65536;
  if (to < from + 1024) from = 10240, to = 65536;
  unsigned random = 0;
  if (getrandom(&random, sizeof random, 0) < 0) random = (unsigned)now_ns();
  for (unsigned i = 0; i < to - from; i++) {
    *port = (uint16_t)(from + (random + i * 7919) % (to - from));
    int fd = bind_at(a, *port, false);
    if (fd >= 0 || errno != EADDRINUSE) return fd;
  }
  return -1;
}

void hold(uint32_t id, Reader *r) {
  uint16_t port = read_u16(r);
  char *host = read_text(r);
  Address a;
  int fd = -1;
  if (!r->bad && parse(host, &a)) {
    fd = port ? bind_asked(a, port) : bind_any(a, &port);
    // A machine without IPv6.
    if (fd < 0 && !*host && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) && parse("0.0.0.0", &a))
      fd = port ? bind_asked(a, port) : bind_any(a, &port);
  }
  int error = errno;
  if (fd >= 0) {
    Hold *h = need(malloc(sizeof *h));
    *h = (Hold){holds, id, fd};
    holds = h;
  }
  event_begin(E_HELD, id);
  event_u32(fd < 0 ? (uint32_t)error : 0);
  event_u16(port);
  event_end();
  free(host);
}

void release(uint32_t id) {
  for (Hold **at = &holds; *at; at = &(*at)->next) {
    Hold *h = *at;
    if (h->id != id) continue;
    close(h->fd);
    *at = h->next;
    free(h);
    break;
  }
  event_begin(E_RELEASED, id);
  event_end();
}
