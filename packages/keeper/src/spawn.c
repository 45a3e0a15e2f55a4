// Starts a process: its pipes, its spool, its environment; exec's answer comes by a pipe that exec closes.
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

static void failed(uint32_t id, int stage, int error) {
  event_begin(E_FAILED, id);
  event_u8((uint8_t)stage);
  event_u32((uint32_t)error);
  event_end();
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
  if (pid == 0) become(q, in[0], spooled ? out[1] : 2, spooled ? err[1] : 2, told[1]);
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
    Proc *p = enroll(id);
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
