// `rank`: stands around one rank of an MPI job. It tells the member to which the rank was assigned (ranks.c) how it began
// and ended and what it last said, gives it that member's environment, and ends it when nobody listens there any more.
// Launchers kill a rank's whole group at once: the wrapper proper is in a group of its own, below a stub that the launcher
// knows, so that it lives to tell what the rank said last. Called as DIR/bin/rank PROGRAM ARGUMENTS…; the launcher's own variables say which rank this is.
#include "keeper.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LOST 127
#define TAIL 16384
#define PIECE 65536
#define LINES 30       // of a rank that failed
#define LINE 500

#define END 50           // milliseconds that a child of the rank may hold the end of an output open
#define HELD (500 * MS)  // a line that is not whole yet: who writes its end apart may wait long for a core

// One of the rank's outputs on its way to the launcher, by whole lines, so that those of ranks do not mix; its end is kept.
typedef struct {
  int from, to;
  uint8_t piece[PIECE];
  size_t have;
  uint64_t since;      // when what is held began to come
  char tail[TAIL];
  size_t seen;         // bytes in all
} Lane;

static Lane lanes[2];  // stdout, stderr
static int member = -1;
static uint64_t began;

static _Noreturn void quit(const char *what, const char *why) {
  fprintf(stderr, "gangflow: %s: %s\n", what, why);
  exit(LOST);
}

static long number(const char *first, const char *second, long otherwise) {
  const char *text = getenv(first);
  if (!text) text = getenv(second);
  return text ? strtol(text, NULL, 10) : otherwise;
}

// The socket of the member whose rank this is: names are NODE.FIRST.sock, FIRST being its first local rank.
static int dial(const char *folder, long local) {
  DIR *all = opendir(folder);
  if (!all) quit(folder, strerror(errno));
  char path[128], best[128] = "";
  long highest = -1;
  for (struct dirent *one; (one = readdir(all));) {
    long node, first;
    int whole = 0;
    if (sscanf(one->d_name, "%ld.%ld.sock%n", &node, &first, &whole) != 2 || one->d_name[whole] != 0) continue;
    if (first > local || first <= highest) continue;
    if (snprintf(path, sizeof path, "%s/%s", folder, one->d_name) >= (int)sizeof path) continue;
    highest = first;
    strcpy(best, path);
  }
  closedir(all);
  if (highest < 0) quit(folder, "no member of the gang waits for ranks here");
  int fd = connect_unix(best);
  if (fd < 0) quit(best, strerror(errno));
  return fd;
}

static bool read_all(int fd, void *data, size_t length) {
  for (uint8_t *at = data; length > 0;) {
    ssize_t n = read(fd, at, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n, length -= (size_t)n;
  }
  return true;
}

static void tell(const char *line) {
  if (member >= 0) write_all(member, line, strlen(line));
}

// The member's answer: the folder, the program, then variables; each ends with a zero.
static char *answer(const char **end) {
  uint8_t head[4];
  if (!read_all(member, head, 4)) quit("the member has gone", "no answer");
  size_t length = (size_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
  char *text = need(malloc(length + 1));
  if (!read_all(member, text, length)) quit("the member has gone", "half an answer");
  text[length] = 0;
  *end = text + length;
  return text;
}

static void keep(Lane *lane, const uint8_t *data, size_t length) {
  for (size_t i = 0; i < length; i++) lane->tail[lane->seen++ % TAIL] = (char)data[i];
}

// True as long as there may be more.
static bool fill(Lane *lane) {
  ssize_t n = read(lane->from, lane->piece + lane->have, PIECE - lane->have);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (lane->have == 0) lane->since = now_ns();
  keep(lane, lane->piece + lane->have, (size_t)n);
  lane->have += (size_t)n;
  return n > 0;
}

static void drop(Lane *lane) {
  if (lane->from >= 0) close(lane->from);
  lane->from = -1;
}

// How much of what is held may go: whole lines, or all when it is late, full or the last.
static size_t due(const Lane *lane) {
  if (lane->have == 0) return 0;
  const uint8_t *end = memrchr(lane->piece, '\n', lane->have);
  if (end) return (size_t)(end - lane->piece) + 1;
  return lane->have == PIECE || lane->from < 0 || now_ns() - lane->since >= HELD ? lane->have : 0;
}

static void show(Lane *lane, size_t length) {
  ssize_t n = write(lane->to, lane->piece, length);
  if (n < 0) {
    if (errno == EINTR || errno == EAGAIN) return;
    // Its reader has gone: the rank is told as it would be without us.
    lane->have = 0;
    return drop(lane);
  }
  lane->have -= (size_t)n;
  memmove(lane->piece, lane->piece + n, lane->have);
  lane->since = now_ns();
}

// What the rank wrote before it ended and is still in the pipe; a child of it that holds the pipe is not waited for.
static void finish_lane(Lane *lane) {
  uint64_t until = now_ns() + 5 * SECOND;
  while ((lane->from >= 0 || lane->have > 0) && now_ns() < until) {
    struct pollfd more = {.fd = lane->from, .events = POLLIN};
    // What was written to a terminal may be on the way still; its end comes behind it.
    if (lane->from >= 0 && lane->have < PIECE && (poll(&more, 1, END) <= 0 || !fill(lane))) drop(lane);
    struct pollfd room = {.fd = lane->to, .events = POLLOUT};
    size_t length = due(lane);
    if (length > 0 && poll(&room, 1, 100) > 0) show(lane, length);
  }
}

// The last lines of what failed, for the verdict: of stderr, or of stdout where that is silent.
static void tell_tail(void) {
  for (int which = 1; which >= 0; which--) {
    Lane *lane = &lanes[which];
    size_t length = lane->seen < TAIL ? lane->seen : TAIL;
    static char text[TAIL + 1];
    for (size_t i = 0; i < length; i++) text[i] = lane->tail[(lane->seen - length + i) % TAIL];
    while (length > 0 && strchr("\r\n \t", text[length - 1])) length--;
    if (length == 0) continue;
    text[length] = 0;
    char *first = text + length;
    for (int lines = 0; first > text; first--)
      if (first[-1] == '\n' && ++lines == LINES) break;
    for (char *line = first, *end; line; line = end) {
      char told[LINE + 16];
      end = strchr(line, '\n');
      if (end) *end++ = 0;
      snprintf(told, sizeof told, "tail %.*s\n", LINE, line);
      tell(told);
    }
    return;
  }
}

static unsigned long long ms(void) { return (now_ns() - began) / MS; }

static void tell_end(const char *how, int value, unsigned long long at) {
  char line[96];
  snprintf(line, sizeof line, "end %s %d %llu\n", how, value, at);
  tell(line);
}

// Which MPI the program has loaded: under another one's launcher each rank would be alone, and nobody would say so.
static bool tell_library(pid_t pid) {
  char path[64], line[4096];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  FILE *maps = fopen(path, "re");
  if (!maps) return false;
  bool found = false;
  while (!found && fgets(line, sizeof line, maps)) {
    char *name = strchr(line, '/');
    if (!name || !(strstr(name, "/libmpi.so.") || strstr(name, "/libmpi_abi.so") || strstr(name, "/libmpich.so"))) continue;
    name[strcspn(name, "\n")] = 0;
    char told[4200];
    snprintf(told, sizeof told, "lib %s\n", name);
    tell(told);
    found = true;
  }
  fclose(maps);
  return found;
}

// A terminal that passes everything on as it is; ends as a pipe's. False where there is none to be had.
static bool terminal_ends(int ends[2]) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return false;
  const char *name = grantpt(master) == 0 && unlockpt(master) == 0 ? ptsname(master) : NULL;
  int slave = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
  struct termios how;
  if (slave < 0 || tcgetattr(slave, &how) < 0) return close(master), false;
  cfmakeraw(&how);
  tcsetattr(slave, TCSANOW, &how);
  ends[0] = master, ends[1] = slave;
  return true;
}

// The rank keeps a terminal where the launcher gave it one: to a pipe its output would come in blocks.
static void carry_lane(int which) {
  int ends[2];
  if (isatty(which + 1) ? !terminal_ends(ends) : pipe2(ends, O_CLOEXEC) < 0) return;
  fcntl(ends[0], F_SETPIPE_SZ, 1 << 18);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  lanes[which].from = ends[0];
  lanes[which].to = fcntl(which + 1, F_DUPFD_CLOEXEC, 3);
  fcntl(lanes[which].to, F_SETFL, fcntl(lanes[which].to, F_GETFL) | O_NONBLOCK);
  dup2(ends[1], which + 1);
  close(ends[1]);
}

static void exec_failed(const char *program, int error) {
  fprintf(stderr, "gangflow: %s cannot be started: %s\n", program, strerror(error));
  tell_end("exec", error, ms());
  exit(LOST);
}

// Until the rank has ended; gives its wait status.
static int attend(pid_t child, int told, int stub) {
  // Milliseconds after the start at which it is looked at; an interpreter loads its MPI late.
  static const unsigned looks[] = {10, 30, 100, 300, 1000, 3000, 10000, 30000, 120000};
  size_t look = 0;
  bool listens = true, stands = true;
  for (;;) {
    struct pollfd fds[] = {
      {.fd = told, .events = POLLIN},
      {.fd = listens ? member : -1, .events = POLLIN},
      {.fd = lanes[0].from, .events = POLLIN}, {.fd = lanes[1].from, .events = POLLIN},
      {.fd = -1, .events = POLLOUT}, {.fd = -1, .events = POLLOUT},
      {.fd = stands ? stub : -1, .events = POLLIN}};
    size_t goes[2];
    bool looking = look < sizeof looks / sizeof *looks, held = false;
    for (int i = 0; i < 2; i++) {
      if ((goes[i] = due(&lanes[i])) > 0) fds[4 + i].fd = lanes[i].to;
      else held = held || lanes[i].have > 0;
      if (lanes[i].have == PIECE) fds[2 + i].fd = -1;
    }
    unsigned long long now = ms();
    int wait = !looking ? -1 : looks[look] > now ? (int)(looks[look] - now) : 0;
    if (held && (wait < 0 || wait > (int)(HELD / MS))) wait = (int)(HELD / MS);
    if (poll(fds, 7, wait) < 0 && errno != EINTR) quit("poll", strerror(errno));
    if (looking && ms() >= looks[look]) look = tell_library(child) ? sizeof looks : look + 1;
    for (int i = 0; i < 2; i++) {
      if (fds[4 + i].fd >= 0 && fds[4 + i].revents) show(&lanes[i], goes[i]);
      if (fds[2 + i].fd >= 0 && fds[2 + i].revents && !fill(&lanes[i])) drop(&lanes[i]);
    }
    char nothing[64];
    if (listens && fds[1].revents && read(member, nothing, sizeof nothing) <= 0) {
      // The call is over, or its member is: so is the rank.
      listens = false;
      kill(child, SIGKILL);
    }
    if (stands && fds[6].revents) {
      stands = false;
      kill(child, SIGKILL);
    }
    struct signalfd_siginfo info;
    while (read(told, &info, sizeof info) == sizeof info) continue;
    int status;
    if (waitpid(child, &status, WNOHANG) == child) return status;
  }
}

// In the stub: ends as the wrapper does, which sees its death by the pipe. In the wrapper: leaves the group.
static void stand_for(const int stands[2], pid_t wrapper) {
  if (wrapper < 0) quit("fork", strerror(errno));
  if (wrapper == 0) {
    setpgid(0, 0);
    close(stands[1]);
    return;
  }
  static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  close(stands[0]);
  close(member);
  int status;
  while (waitpid(wrapper, &status, 0) < 0)
    if (errno != EINTR) exit(LOST);
  if (WIFSIGNALED(status)) end_as(WTERMSIG(status));
  exit(WEXITSTATUS(status));
}

int rank(const char *self, int argc, char **argv) {
  stand();
  began = now_ns();
  if (argc < 1) return fputs("usage: DIR/bin/rank PROGRAM ARGUMENTS...\n", stderr), 64;
  char folder[96];
  const char *slash = strrchr(self, '/');
  if (!slash || slash - self < 5 || snprintf(folder, sizeof folder, "%.*s", (int)(slash - self - 4), self) >= (int)sizeof folder)
    quit(self, "it must be called by its path, DIR/bin/rank");
  long local = number("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", 0);
  member = dial(folder, local);
  char line[128];
  snprintf(line, sizeof line, "hello %ld %ld %ld %d %llu\n", number("OMPI_COMM_WORLD_RANK", "PMI_RANK", 0),
           number("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", 1), local, getpid(), (unsigned long long)(began / MS));
  tell(line);
  const char *end;
  char *cwd = answer(&end), *program = cwd + strlen(cwd) + 1;
  for (char *entry = program + strlen(program) + 1; entry < end; entry += strlen(entry) + 1) putenv(entry);
  setenv("GANGFLOW_MPI", folder, 1);
  if (chdir(cwd) < 0) {
    int error = errno;
    fprintf(stderr, "gangflow: %s: %s\n", cwd, strerror(error));
    tell_end("cwd", error, ms());
    return LOST;
  }
  // What rank 0 reads lies beside the sockets: Open MPI 5 never tells it the end of its own input.
  char input[128];
  snprintf(input, sizeof input, "%s/stdin", folder);
  int in = number("OMPI_COMM_WORLD_RANK", "PMI_RANK", 0) == 0 ? open(input, O_RDONLY | O_CLOEXEC) : -1;
  if (in >= 0) dup2(in, 0), close(in);
  int stands[2];
  if (pipe2(stands, O_CLOEXEC) < 0) quit("pipe", strerror(errno));
  pid_t group = getpgrp();
  stand_for(stands, fork());
  // Another program than was called by name: an interpreter that is chosen by the member knows itself by its path.
  const char *called = argv[0];
  if (*program) argv[0] = program;
  lanes[0].from = lanes[1].from = -1;
  carry_lane(0);
  carry_lane(1);
  sigset_t set, before;
  sigemptyset(&set);
  static const int minded[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGTSTP};
  for (size_t i = 0; i < sizeof minded / sizeof *minded; i++) sigaddset(&set, minded[i]);
  sigprocmask(SIG_BLOCK, &set, &before);
  int told = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), failed[2];
  if (told < 0 || pipe2(failed, O_CLOEXEC) < 0) quit("pipe", strerror(errno));
  pid_t self_id = getpid(), child = fork();
  if (child < 0) quit("fork", strerror(errno));
  if (child == 0) {
    // Signals that the launcher sends go to the group, in which both are.
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != self_id || setpgid(0, group) < 0) _exit(LOST);
    sigprocmask(SIG_SETMASK, &before, NULL);
    execvp(argv[0], argv);
    int error = errno;
    _exit(write(failed[1], &error, sizeof error) == sizeof error ? LOST : LOST);
  }
  close(failed[1]);
  for (int i = 0; i < 2; i++) {
    // Only the rank writes there now; what we say ourselves goes to the launcher.
    if (lanes[i].from >= 0) dup2(lanes[i].to, i + 1);
  }
  int error;
  if (read(failed[0], &error, sizeof error) == sizeof error) exec_failed(called, error);
  snprintf(line, sizeof line, "child %d\n", child);
  tell(line);
  int status = attend(child, told, stands[0]);
  unsigned long long over = ms();
  for (int i = 0; i < 2; i++) finish_lane(&lanes[i]);
  bool bad = status != 0;
  if (bad) tell_tail();
  tell_end(WIFSIGNALED(status) ? "signal" : "code", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), over);
  close(member);
  if (WIFSIGNALED(status)) end_as(WTERMSIG(status));
  return WEXITSTATUS(status);
}
