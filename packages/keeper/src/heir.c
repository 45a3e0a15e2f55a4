// The outermost keeper's heir: a second process that does nothing until the keeper has died without ending what it
// kept. A subreaper's orphans go to whoever is above; where the launcher was killed in the same instant, that is
// nobody who knows them. The heir knows them by their tag, waits a grace for those whose business it is first (the
// launcher, the keepers of members), then ends what is left.
#include "keeper.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t heir_pid;
#define PATIENCE (10 * SECOND)

static pid_t *termed;
static size_t termed_count;

static bool was_termed(pid_t pid) {
  for (size_t i = 0; i < termed_count; i++)
    if (termed[i] == pid) return true;
  return false;
}

static void nap(uint64_t ns) {
  struct timespec t = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
  while (nanosleep(&t, &t) < 0 && errno == EINTR) continue;
}

// One look at all processes; how many of the keeper's are left.
static size_t end_tagged(bool kill_now) {
  size_t left = 0, before = termed_count;
  DIR *all = opendir("/proc");
  if (!all) return 0;
  for (struct dirent *entry; (entry = readdir(all));) {
    pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
    Node n;
    if (pid <= 0 || pid == getpid() || !tagged(pid) || !look(pid, &n) || !alive(&n)) continue;
    left++;
    if (kill_now) {
      signal_node(&n, SIGKILL);
      continue;
    }
    // What a process starts in answer to TERM is left alone until the KILL.
    bool known = was_termed(pid), answer = was_termed(n.ppid);
    if (!known && !answer) signal_node(&n, SIGTERM);
    if (known) continue;
    if (termed_count % 64 == 0) termed = need(realloc(termed, (termed_count + 64) * sizeof *termed));
    termed[termed_count++] = pid;
  }
  closedir(all);
  if (kill_now) termed_count = before;
  return left;
}

// Whoever looks for what carries the mark must not find the heir: it ends by itself, after them.
static void unmark(void) {
  for (char **e = environ; *e; e++) memset(*e, 0, strlen(*e));
  if (options.mark) memset((char *)options.mark, 0, strlen(options.mark));
}

static _Noreturn void inherit(int alive_fd) {
  setsid();
  unmark();
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  if (alive_fd != 3) dup2(alive_fd, 3);
  // It must hold open nothing of the keeper's, least of all the other end.
  syscall(SYS_close_range, 4, ~0u, 0);
  char byte;
  while (read(3, &byte, 1) < 0 && errno == EINTR) continue;
  nap(options.grace_ns);
  uint64_t begun = now_ns();
  for (int empty = 0; empty < 2 && now_ns() < begun + PATIENCE; nap(20 * MS))
    empty = end_tagged(now_ns() >= begun + options.grace_ns) ? 0 : empty + 1;
  _exit(0);
}

// Before this process is a subreaper or has a descriptor that matters. Without a tag there is nothing to inherit by.
void heir_prepare(void) {
  int ends[2];
  if (!tag_base || pipe2(ends, O_CLOEXEC) < 0) return;
  heir_pid = fork();
  if (heir_pid == 0) inherit(ends[0]);
  close(ends[0]);
  // The other end stays open for as long as this process lives.
  if (heir_pid < 0) close(ends[1]);
}

// Everything has been ended: there is nothing to inherit.
void heir_dismiss(void) {
  if (heir_pid <= 0) return;
  kill(heir_pid, SIGKILL);
  while (waitpid(heir_pid, NULL, 0) < 0 && errno == EINTR) continue;
}
