// `shim`: a remote shell that hands host, command and streams to the local agent's socket, which runs it over the mesh.
// Called as ssh is called; options that do not matter inside a gang are taken and ignored. Frames: docs/reference/protocol.md.
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { S_START = 1, S_STDIN, S_STDIN_END, S_SIGNAL, A_STDOUT = 16, A_STDERR, A_EXIT, A_SIGNAL, A_ERROR };
enum { SUBSYSTEM = 1, SHELL = 2 };
#define TROUBLE 255  // as ssh has it
#define PIECE 4096   // what a pipe with any room takes whole
#define TYPED (1 << 15)  // of input at once: what SSH carries in a packet

static uint8_t out[1 << 18];     // to the agent
static size_t out_from, out_to;
static struct {
  uint8_t head[5];
  size_t have;
  uint32_t left;                 // of the frame that is being read
  uint8_t type;
} in;
static uint8_t piece[PIECE];     // output that waits for its reader
static size_t piece_from, piece_to;

// Names on the wire, as SSH has them (RFC 4254, 6.10).
static const struct { int number; const char *name; } known_signals[] = {
  {SIGABRT, "ABRT"}, {SIGALRM, "ALRM"}, {SIGBUS, "BUS"},   {SIGFPE, "FPE"},   {SIGHUP, "HUP"},   {SIGILL, "ILL"},
  {SIGINT, "INT"},   {SIGKILL, "KILL"}, {SIGPIPE, "PIPE"}, {SIGQUIT, "QUIT"}, {SIGSEGV, "SEGV"}, {SIGSYS, "SYS"},
  {SIGTERM, "TERM"}, {SIGTRAP, "TRAP"}, {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}, {SIGXCPU, "XCPU"}, {SIGXFSZ, "XFSZ"}};
#define SIGNALS (sizeof known_signals / sizeof *known_signals)

static void frame(uint8_t type, const void *data, size_t length) {
  uint32_t whole = (uint32_t)length + 1;
  uint8_t head[5] = {whole >> 24, whole >> 16, whole >> 8, (uint8_t)whole, type};
  memcpy(out + out_to, head, 5);
  memcpy(out + out_to + 5, data, length);
  out_to += 5 + length;
}

// Ends as the remote command did.
void end_as(int number) {
  if (number <= 0) return;
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  raise(number);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  _exit(128 + number);
}

static _Noreturn void fail(const char *what, const char *why) {
  fprintf(stderr, "gangflow: %s%s%s\n", what, why ? ": " : "", why ? why : "");
  exit(TROUBLE);
}

// Beside the shim when it was called by its path, else as the environment says.
static int dial(const char *self) {
  const char *told = getenv("GANGFLOW_SHIM_SOCKET"), *slash = strrchr(self, '/');
  char beside[PIECE];
  if (slash && snprintf(beside, sizeof beside, "%.*s/../shim.sock", (int)(slash - self), self) < (int)sizeof beside) {
    int fd = connect_unix(beside);
    if (fd >= 0) return fd;
  }
  if (!told) fail("this is no member of a gang", "GANGFLOW_SHIM_SOCKET is not set");
  int fd = connect_unix(told);
  if (fd < 0) fail(told, strerror(errno));
  return fd;
}

// One frame's content, or more of it, from the agent. False at the end of the connection.
static bool take(int fd) {
  if (in.left == 0) {
    ssize_t n = read(fd, in.head + in.have, 5 - in.have);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    in.have += (size_t)n;
    if (n == 0) return false;
    if (in.have < 5) return true;
    in.left = ((uint32_t)in.head[0] << 24 | in.head[1] << 16 | in.head[2] << 8 | in.head[3]) - 1;
    in.type = in.head[4], in.have = 0;
    piece_from = piece_to = 0;
    return true;
  }
  // Output is shown as it comes; anything else is short, and taken when it is whole.
  bool shown = in.type == A_STDOUT || in.type == A_STDERR;
  if (shown || piece_to == PIECE) piece_from = piece_to = 0;
  size_t room = PIECE - piece_to;
  ssize_t n = read(fd, piece + piece_to, in.left < room ? in.left : room);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  in.left -= (uint32_t)n;
  piece_to += (size_t)n;
  return n > 0;
}

static int number_of(const char *name, size_t length) {
  for (size_t i = 0; i < SIGNALS; i++)
    if (strlen(known_signals[i].name) == length && memcmp(known_signals[i].name, name, length) == 0)
      return known_signals[i].number;
  return 0;
}

// What is no output; output waits in `piece`.
static void answer(void) {
  if (in.type == A_STDOUT || in.type == A_STDERR || in.left > 0) return;
  if (in.type == A_EXIT) exit(piece[0]);
  if (in.type == A_SIGNAL) {
    end_as(number_of((char *)piece, piece_to));
    exit(TROUBLE);
  }
  if (in.type == A_ERROR) fprintf(stderr, "gangflow: %.*s\n", (int)piece_to, piece);
  exit(TROUBLE);
}

static int signals(void) {
  sigset_t set;
  sigemptyset(&set);
  static const int carried[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof carried / sizeof *carried; i++) sigaddset(&set, carried[i]);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

static void carry_signal(int fd) {
  struct signalfd_siginfo info;
  if (read(fd, &info, sizeof info) != sizeof info) return;
  for (size_t i = 0; i < SIGNALS; i++)
    if (known_signals[i].number == (int)info.ssi_signo && out_to + 64 < sizeof out)
      frame(S_SIGNAL, known_signals[i].name, strlen(known_signals[i].name));
}

static void show(void) {
  int to = in.type == A_STDOUT ? 1 : 2;
  ssize_t n = write(to, piece + piece_from, piece_to - piece_from);
  if (n >= 0) piece_from += (size_t)n;
  // Its reader has gone: so does the command, as with any pipe.
  else if (errno == EPIPE) end_as(SIGPIPE);
  else if (errno != EINTR && errno != EAGAIN) exit(TROUBLE);
}

static int converse(int agent, bool reads) {
  int told = signals();
  signal(SIGPIPE, SIG_IGN);
  fcntl(agent, F_SETFL, O_NONBLOCK);
  if (!reads) frame(S_STDIN_END, "", 0);
  for (;;) {
    bool room = out_to + TYPED + 128 < sizeof out;
    bool held = piece_from < piece_to && (in.type == A_STDOUT || in.type == A_STDERR);
    struct pollfd fds[] = {
      {.fd = agent, .events = (short)((held ? 0 : POLLIN) | (out_from < out_to ? POLLOUT : 0))},
      {.fd = reads && room ? 0 : -1, .events = POLLIN},
      {.fd = held ? (in.type == A_STDOUT ? 1 : 2) : -1, .events = POLLOUT},
      {.fd = told, .events = POLLIN},
    };
    if (poll(fds, 4, -1) < 0) continue;
    if (fds[3].revents) carry_signal(told);
    if (fds[2].revents) show();
    if (fds[1].revents) {
      static uint8_t typed[TYPED];
      ssize_t n = read(0, typed, sizeof typed);
      if (n > 0) frame(S_STDIN, typed, (size_t)n);
      else if (n == 0 || (errno != EINTR && errno != EAGAIN)) reads = false, frame(S_STDIN_END, "", 0);
    }
    if (fds[0].revents & POLLOUT) {
      ssize_t n = write(agent, out + out_from, out_to - out_from);
      if (n > 0 && (out_from += (size_t)n) == out_to) out_from = out_to = 0;
    }
    if (!held && fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
      if (!take(agent)) fail("the agent of this member has closed the connection", NULL);
      if (in.left == 0 && in.have == 0) answer();
    }
  }
}

// HOST [COMMAND…] among options as ssh has them.
int shim(const char *self, int argc, char **argv) {
  stand();
  const char *host = NULL;
  bool quiet = false;
  uint8_t flags = 0;
  int at = 0;
  for (; at < argc; at++) {
    const char *word = argv[at];
    if (word[0] != '-' || word[1] == 0) {
      if (host) break;
      host = word;
      continue;
    }
    if (strcmp(word, "--") == 0) {
      if (host) { at++; break; }
      continue;
    }
    for (const char *letter = word + 1; *letter; letter++) {
      if (*letter == 'n') quiet = true;
      if (*letter == 's') flags |= SUBSYSTEM;
      if (*letter == 'V') return fputs("gangflow-shim, called as ssh is called\n", stderr), 0;
      if (*letter == 'N' || *letter == 'W') fail("the shim runs commands; for forwarding use ssh -F $GANGFLOW_SSH_CONFIG", NULL);
      if (strchr("BbcDEeFIiJLlmOopQRSw", *letter)) {
        if (letter[1] == 0) at++;
        break;
      }
    }
  }
  if (!host) return fputs("usage: shim [OPTIONS OF SSH] HOST [COMMAND...]\n", stderr), TROUBLE;
  const char *name = strrchr(host, '@');
  if (name) host = name + 1;
  if (at >= argc) flags |= SHELL;
  static uint8_t start[sizeof out - 256];
  size_t length = 0;
  start[length++] = flags;
  for (const char *c = host; *c && length < sizeof start - 1; c++) start[length++] = (uint8_t)*c;
  start[length++] = 0;
  for (int i = at; i < argc; i++) {
    size_t word = strlen(argv[i]);
    if (length + word + 1 >= sizeof start) fail("the command is too long", NULL);
    if (i > at) start[length++] = ' ';
    memcpy(start + length, argv[i], word);
    length += word;
  }
  int agent = dial(self);
  frame(S_START, start, length);
  return converse(agent, !quiet);
}
