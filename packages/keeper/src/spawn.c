// Starts a process, feeds its standard input, and takes its end.
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

Proc **procs;
size_t proc_count;
static size_t proc_room;
extern struct rlimit files_given;

Proc *proc_by_id(uint32_t id) {
  for (size_t i = 0; i < proc_count; i++)
    if (procs[i]->id == id) return procs[i];
  return NULL;
}
Proc *proc_by_pid(pid_t pid) {
  for (size_t i = 0; i < proc_count; i++)
    if (procs[i]->pid == pid && !procs[i]->reaped) return procs[i];
  return NULL;
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void forget(Proc *p) {
  shut(&p->exec_fd), shut(&p->in_fd), shut(&p->out[0].fd), shut(&p->out[1].fd), shut(&p->spool);
  while (p->in_first) {
    Piece *next = p->in_first->next;
    free(p->in_first);
    p->in_first = next;
  }
  for (size_t i = 0; i < proc_count; i++)
    if (procs[i] == p) procs[i] = procs[--proc_count];
  free(p);
}

static void failed(uint32_t id, int stage, int error) {
  event_begin(E_FAILED, id);
  event_u8((uint8_t)stage);
  event_u32((uint32_t)error);
  event_end();
}

typedef struct {
  uint32_t id;
  char *cwd, *spool;
  char **argv, **env;
} Request;

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

static _Noreturn void child(const Request *q, int in, int out, int err, int told) {
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

static char **read_list(Reader *r, uint32_t extra, uint32_t *count) {
  *count = read_u32(r);
  if (r->bad || *count > (uint32_t)(r->end - r->at)) *count = 0, r->bad = true;
  char **list = need(calloc(*count + extra + 1, sizeof *list));
  for (uint32_t i = 0; i < *count; i++) list[i] = read_text(r);
  return list;
}

// The marker, and by whom it is kept: a chain of keepers, outermost first (PID.START/ID:PID.START/ID).
static void mark(char **env, uint32_t count, uint32_t id) {
  const char *outer = getenv("GANGFLOW_KEPT");
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (strncmp(env[i], "GANGFLOW_KEPT=", 14) == 0 || (options.mark && strncmp(env[i], "GANGFLOW_MARK=", 14) == 0))
      free(env[i]);
    else env[kept++] = env[i];
  }
  if (asprintf(&env[kept++], "GANGFLOW_KEPT=%s%s%d.%llu/%u", outer ? outer : "", outer ? ":" : "", self_pid,
               (unsigned long long)self_start, id) < 0)
    need(NULL);
  if (options.mark && asprintf(&env[kept++], "GANGFLOW_MARK=%s", options.mark) < 0) need(NULL);
  env[kept] = NULL;
}

static void start(Proc *p, const Request *q, bool wants_stdin) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, told[2] = {-1, -1};
  bool spooled = q->spool[0] != 0;
  if (spooled) {
    p->spool = open(q->spool, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->spool < 0) {
      failed(p->id, F_SPOOL, errno);
      return forget(p);
    }
    p->spool_size = lseek(p->spool, 0, SEEK_END);
  }
  bool ready = wants_stdin ? pipe2(in, O_CLOEXEC) == 0 : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
  ready = ready && (!spooled || (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0)) && pipe2(told, O_CLOEXEC) == 0;
  pid_t pid = ready ? fork() : -1;
  if (pid == 0) child(q, in[0], spooled ? out[1] : 2, spooled ? err[1] : 2, told[1]);
  int error = errno;
  shut(&in[0]), shut(&out[1]), shut(&err[1]), shut(&told[1]);
  p->in_fd = in[1], p->out[0].fd = out[0], p->out[1].fd = err[0], p->exec_fd = told[0];
  if (pid < 0) {
    failed(p->id, ready ? F_FORK : F_SETUP, error);
    return forget(p);
  }
  p->pid = pid;
  p->start = start_time(pid);
  if (strangers_next > now_ns() + 200 * MS) strangers_next = now_ns() + 200 * MS;
  for (int i = 0; i < 2; i++) {
    if (p->out[i].fd < 0) continue;
    fcntl(p->out[i].fd, F_SETFL, O_NONBLOCK);
    fcntl(p->out[i].fd, F_SETPIPE_SZ, 1 << 18);
    watch(p->out[i].fd, EPOLLIN, i == 0 ? W_STDOUT : W_STDERR, p->id);
  }
  if (p->in_fd >= 0) fcntl(p->in_fd, F_SETFL, O_NONBLOCK), watch(p->in_fd, 0, W_STDIN, p->id);
  fcntl(p->exec_fd, F_SETFL, O_NONBLOCK);
  watch(p->exec_fd, EPOLLIN, W_EXEC, p->id);
}

void spawn(uint32_t id, Reader *r) {
  uint8_t flags = read_u8(r);
  uint32_t linger = read_u32(r), argc, envc;
  Request q = {.id = id};
  q.spool = read_text(r);
  q.cwd = read_text(r);
  q.argv = read_list(r, 0, &argc);
  q.env = read_list(r, 2, &envc);
  if (r->bad || argc == 0 || proc_by_id(id)) {
    failed(id, F_SETUP, EINVAL);
  } else {
    mark(q.env, envc, id);
    if (proc_count == proc_room) procs = need(realloc(procs, (proc_room = proc_room * 2 + 16) * sizeof *procs));
    Proc *p = procs[proc_count++] = need(calloc(1, sizeof *p));
    *p = (Proc){.id = id, .exec_fd = -1, .in_fd = -1, .out = {{.fd = -1}, {.fd = -1}}, .spool = -1};
    p->lingers = flags & 2, p->linger_ns = linger * MS, p->strays_end = flags & 4;
    start(p, &q, flags & 1);
  }
  free(q.spool), free(q.cwd);
  for (char **s = q.argv; *s; s++) free(*s);
  for (char **s = q.env; *s; s++) free(*s);
  free(q.argv), free(q.env);
}

// What the pipe that exec closes has to say: nothing is success.
void exec_told(Proc *p) {
  if (p->exec_fd < 0) return;
  int told[2];
  ssize_t n = read(p->exec_fd, told, sizeof told);
  if (n < 0 && errno == EAGAIN) return;
  shut(&p->exec_fd);
  if (n == sizeof told) {
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) continue;
    failed(p->id, told[0], told[1]);
    return forget(p);
  }
  p->started = true;
  event_begin(E_STARTED, p->id);
  event_u32((uint32_t)p->pid);
  event_u64(p->start);
  event_end();
  if (p->in_first || p->in_ending) pump_stdin(p);
}

static void stdin_done(Proc *p, uint32_t seq, int error) {
  event_begin(E_STDIN_DONE, p->id);
  event_u32(seq);
  event_u32((uint32_t)error);
  event_end();
}

void pump_stdin(Proc *p) {
  while (p->in_fd >= 0 && p->in_first) {
    Piece *piece = p->in_first;
    ssize_t n = write(p->in_fd, piece->data + piece->off, piece->len - piece->off);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return rewatch(p->in_fd, EPOLLOUT, W_STDIN, p->id);
    if (n < 0) {
      shut(&p->in_fd);
      break;
    }
    if ((piece->off += (size_t)n) < piece->len) continue;
    p->in_first = piece->next;
    stdin_done(p, piece->seq, 0);
    free(piece);
  }
  while (p->in_fd < 0 && p->in_first) {
    Piece *piece = p->in_first;
    p->in_first = piece->next;
    stdin_done(p, piece->seq, EPIPE);
    free(piece);
  }
  if (p->in_fd >= 0 && p->in_ending) shut(&p->in_fd);
  else if (p->in_fd >= 0) rewatch(p->in_fd, 0, W_STDIN, p->id);
}

void send_stdin(Proc *p, uint32_t seq, const uint8_t *data, uint32_t length) {
  Piece *piece = need(malloc(sizeof *piece + length));
  *piece = (Piece){.seq = seq, .len = length};
  memcpy(piece->data, data, length);
  if (p->in_first) p->in_last->next = piece;
  else p->in_first = piece;
  p->in_last = piece;
  pump_stdin(p);
}

void end_stdin(Proc *p) {
  p->in_ending = true;
  pump_stdin(p);
}

static void ended(Proc *p, int status, uint64_t at) {
  p->reaped = true;
  bool killed = WIFSIGNALED(status);
  int value = killed ? WTERMSIG(status) : WEXITSTATUS(status);
  bool ours = p->asked_to_end || (killed && (p->signals_sent[value / 32] >> value % 32 & 1));
  bool oom = killed && value == SIGKILL && !ours && oom_struck();
  shut(&p->in_fd);
  pump_stdin(p);
  drain(p);
  event_begin(E_EXITED, p->id);
  event_u64(at);
  event_u8(killed);
  event_u8((uint8_t)value);
  event_u8((uint8_t)(ours | oom << 1));
  event_u64(p->out[0].skipped + p->out[1].skipped);
  event_end();
  p->out[0].skipped = p->out[1].skipped = 0;
  if (p->out[0].fd < 0 && p->out[1].fd < 0) close_output(p);
  strangers_next = 0;
  hurry_jobs();
}

// Takes every end that there is: of those that the owner asked for, and of orphans.
void reap(void) {
  for (;;) {
    siginfo_t info = {0};
    // Looked at first: the pipe that tells of exec must be read before the pid is free again.
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    uint64_t at = now_ns();
    Proc *p = proc_by_pid(info.si_pid);
    if (p && p->exec_fd >= 0) {
      exec_told(p);
      if (!(p = proc_by_pid(info.si_pid))) continue;
    }
    int status;
    if (waitpid(info.si_pid, &status, WNOHANG) <= 0) continue;
    if (p) ended(p, status, at);
    else hurry_jobs();
  }
}
