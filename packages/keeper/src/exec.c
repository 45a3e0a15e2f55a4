// The child's side of a start: what is set between fork and exec, and the search for the program.
#include "keeper.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Noreturn void give_up(int fd, int stage) {
  int told[2] = {stage, errno};
  ssize_t n = write(fd, told, sizeof told);
  _exit(n < 0 ? 126 : 127);
}

// As execvp, but by the PATH of the environment that the process gets.
static void execute(const Request *q) {
  const char *name = q->argv[0], *path = NULL;
  for (char **e = q->env; *e; e++)
    if (strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
  if (!path) path = "/usr/local/bin:/usr/bin:/bin";
  int error = ENOENT;
  size_t longest = strlen(path) + strlen(name) + 3;
  char *file = malloc(longest);
  if (!file) return;
  for (const char *at = path;; at++) {
    const char *end = strchrnul(at, ':');
    if (strchr(name, '/')) snprintf(file, longest, "%s", name);
    else snprintf(file, longest, "%.*s%s%s", (int)(end - at), at, end > at ? "/" : "", name);
    execve(file, q->argv, q->env);
    if (errno == ENOEXEC) {
      // A script without a first line that names its interpreter.
      size_t n = 0;
      while (q->argv[n]) n++;
      char **shell = calloc(n + 2, sizeof *shell);
      if (!shell) return;
      shell[0] = "/bin/sh", shell[1] = file;
      for (size_t i = 1; i < n; i++) shell[i + 1] = q->argv[i];
      execve(shell[0], shell, q->env);
      return;
    }
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    else if (strchr(name, '/')) error = errno;
    if (strchr(name, '/') || *end == 0) break;
    at = end;
  }
  errno = error;
}

_Noreturn void become(const Request *q, int in, int out, int err, int told) {
  setsid();
  for (int s = 1; s < 65; s++) signal(s, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // The keeper may have died before the kernel knew of the wish.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != self_pid) _exit(126);
  setrlimit(RLIMIT_NOFILE, &files_given);
  tag_set(q->id);
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) give_up(told, F_SETUP);
  // A start that hangs (a network disk) holds nobody else's pipes.
  syscall(SYS_close_range, 3, told - 1, 0);
  syscall(SYS_close_range, told + 1, ~0u, 0);
  if (chdir(q->cwd) < 0) give_up(told, F_CWD);
  execute(q);
  give_up(told, F_EXEC);
}
