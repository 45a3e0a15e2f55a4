// A cable that can be bad: carries Ethernet frames between two network interfaces and delays, loses or drops them.
// Not every kernel has netem, and nftables knows no delay; this needs AF_PACKET alone.
//
//   link HOST-END NET-END SOCKET [NETNS-FILE]
//
// HOST-END is the interface towards the host, NET-END the one towards the others; neither may be a port of a bridge. Each
// connection to the unix SOCKET brings one line of rules and gets `ok`:
//   OUT-DELAY-US OUT-LOSS-PPM IN-DELAY-US IN-LOSS-PPM SEED [MAC,MAC…]
// where `out` is from the host and frames from or to a listed MAC are dropped. Until the first rules everything is dropped.
// A direction never reorders. The line `end` or SIGTERM ends it. NETNS-FILE is the host's network namespace: its eth0 and NET-END's peer
// (`x` for `w`) are told to hand over whole small frames with their checksums, and told back at the end.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FRAME = 65536, MAX_QUEUED = 20000, MAX_BLOCKED = 256, BATCH = 64 };

struct frame {
  struct frame *next;
  int64_t due;
  size_t length;
  unsigned char data[];
};

struct direction {
  int from, to;
  int64_t delay_ns;
  uint32_t loss_ppm;
  struct frame *first, **last;
  int queued;
};

static struct direction ways[2];  // out, in
static unsigned char blocked[MAX_BLOCKED][6];
static int n_blocked;
static uint64_t dice = 1;
static volatile sig_atomic_t ended;

static void on_term(int signal) {
  (void)signal;
  ended = 1;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// xorshift64*: the same seed loses the same frames.
static uint32_t roll(void) {
  dice ^= dice >> 12;
  dice ^= dice << 25;
  dice ^= dice >> 27;
  return (uint32_t)((dice * 2685821657736338717ull) >> 32) % 1000000;
}

static int open_end(const char *name) {
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("AF_PACKET");
  int one = 1, size = 8 << 20;
  setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  struct sockaddr_ll at = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
  if (at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0) die(name);
  return fd;
}

static void offload(const char *name, uint32_t value) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  // Segmentation goes before the checksums it needs, and comes after them.
  uint32_t down[] = {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM}, up[] = {ETHTOOL_STXCSUM, ETHTOOL_SGSO, ETHTOOL_STSO};
  for (int i = 0; i < 3; i++) {
    struct ethtool_value wish = {.cmd = value ? up[i] : down[i], .data = value};
    struct ifreq request = {.ifr_data = (char *)&wish};
    snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
    if (ioctl(fd, SIOCETHTOOL, &request) != 0 && !value) die(name);
  }
  close(fd);
}

// Whole small frames with checksums on both ways in (0), or the usual large ones (1).
static void offloads(const char *net_end, const char *netns, uint32_t value) {
  if (netns == NULL) return;
  char peer[IFNAMSIZ];
  snprintf(peer, sizeof peer, "x%s", net_end + 1);
  if (!value) offload(peer, value);
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), host = open(netns, O_RDONLY | O_CLOEXEC);
  if (own < 0 || host < 0 || setns(host, CLONE_NEWNET) != 0) {
    if (value) return;  // the host has gone
    die(netns);
  }
  offload("eth0", value);
  if (setns(own, CLONE_NEWNET) != 0) die("setns");
  close(own);
  close(host);
}

static int is_blocked(const unsigned char *frame) {
  for (int i = 0; i < n_blocked; i++)
    if (memcmp(frame, blocked[i], 6) == 0 || memcmp(frame + 6, blocked[i], 6) == 0) return 1;
  return 0;
}

// A full socket or an interface that is down loses the frame, as a wire would.
static void pass(struct direction *way, const unsigned char *data, size_t length) {
  while (send(way->to, data, length, 0) < 0 && errno == EINTR) continue;
}

static void take(struct direction *way) {
  static unsigned char data[MAX_FRAME];
  for (int i = 0; i < BATCH; i++) {
    ssize_t length = recv(way->from, data, sizeof data, 0);
    if (length < 0) return;
    if (length < 14 || is_blocked(data)) continue;
    if (way->loss_ppm > 0 && roll() < way->loss_ppm) continue;
    if (way->delay_ns == 0 && way->first == NULL) {
      pass(way, data, (size_t)length);
      continue;
    }
    if (way->queued >= MAX_QUEUED) continue;
    struct frame *frame = malloc(sizeof *frame + (size_t)length);
    if (frame == NULL) continue;
    *frame = (struct frame){.due = now_ns() + way->delay_ns, .length = (size_t)length};
    memcpy(frame->data, data, (size_t)length);
    *way->last = frame;
    way->last = &frame->next;
    way->queued++;
  }
}

static void release(struct direction *way, int64_t now) {
  while (way->first != NULL && way->first->due <= now) {
    struct frame *frame = way->first;
    way->first = frame->next;
    if (way->first == NULL) way->last = &way->first;
    way->queued--;
    pass(way, frame->data, frame->length);
    free(frame);
  }
}

static int listen_at(const char *path) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  // Its name appears when it listens.
  snprintf(at.sun_path, sizeof at.sun_path, "%s+", path);
  unlink(at.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 8) != 0) die(path);
  if (rename(at.sun_path, path) != 0) die(path);
  return fd;
}

static void rules(int listener) {
  int fd = accept(listener, NULL, NULL);
  if (fd < 0) return;
  static char line[8192];
  size_t length = 0;
  struct timeval wait = {.tv_sec = 1};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  while (length < sizeof line - 1) {
    ssize_t got = read(fd, line + length, sizeof line - 1 - length);
    if (got <= 0) break;
    length += (size_t)got;
    if (line[length - 1] == '\n') break;
  }
  line[length] = 0;
  if (strcmp(line, "end\n") == 0) ended = 1;
  long long out_delay, in_delay;
  unsigned out_loss, in_loss;
  unsigned long long seed;
  int used = 0;
  if (sscanf(line, "%lld %u %lld %u %llu%n", &out_delay, &out_loss, &in_delay, &in_loss, &seed, &used) == 5) {
    ways[0].delay_ns = out_delay * 1000, ways[0].loss_ppm = out_loss;
    ways[1].delay_ns = in_delay * 1000, ways[1].loss_ppm = in_loss;
    dice = seed | 1;
    n_blocked = 0;
    for (char *word = strtok(line + used, " ,\n"); word && n_blocked < MAX_BLOCKED; word = strtok(NULL, " ,\n")) {
      unsigned char *mac = blocked[n_blocked];
      if (sscanf(word, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6)
        n_blocked++;
    }
    if (write(fd, "ok\n", 3) != 3) perror("ok");
  }
  close(fd);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: link HOST-END NET-END SOCKET [NETNS-FILE]\n");
    return 2;
  }
  const char *netns = argc > 4 ? argv[4] : NULL;
  struct sigaction term = {.sa_handler = on_term};
  sigaction(SIGTERM, &term, NULL);
  signal(SIGPIPE, SIG_IGN);
  offloads(argv[2], netns, 0);
  int host = open_end(argv[1]), net = open_end(argv[2]);
  for (int i = 0; i < 2; i++) {
    ways[i] = (struct direction){.from = i ? net : host, .to = i ? host : net, .loss_ppm = 1000000};
    ways[i].last = &ways[i].first;
  }
  struct pollfd fds[3] = {{.fd = host, .events = POLLIN}, {.fd = net, .events = POLLIN}, {.events = POLLIN}};
  fds[2].fd = listen_at(argv[3]);
  while (!ended) {
    int64_t now = now_ns(), wait = -1;
    for (int i = 0; i < 2; i++) {
      release(&ways[i], now);
      if (ways[i].first == NULL) continue;
      int64_t left = ways[i].first->due - now;
      if (wait < 0 || left < wait) wait = left;
    }
    struct timespec at = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    if (ppoll(fds, 3, wait < 0 ? NULL : &at, NULL) <= 0) continue;
    // An interface that goes down reports an error once; reading takes it off.
    for (int i = 0; i < 2; i++)
      if (fds[i].revents) take(&ways[i]);
    if (fds[2].revents) rules(fds[2].fd);
  }
  unlink(argv[3]);
  offloads(argv[2], netns, 1);
  return 0;
}
