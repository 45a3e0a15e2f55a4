// `serve`: the loop over the owner's commands, the processes' output, their ends, and the clock.
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
#include <sys/signalfd.h>
#include <unistd.h>

struct Options options = {.grace_ns = 500 * MS, .live_rate = 4 << 20};
pid_t self_pid;
uint64_t self_start;
bool owner_gone;
int epoll_fd;
struct rlimit files_given;
static bool closing, lapsed;
static uint64_t heard_at, granted;
uint64_t strangers_next;

static void survey(uint32_t id) {
  scan();
  event_begin(E_SURVEY, id);
  event_u32((uint32_t)node_count);
  for (size_t i = 0; i < node_count; i++) {
    event_u32((uint32_t)nodes[i].pid);
    event_u64(nodes[i].start);
    event_u32((uint32_t)nodes[i].sid);
    event_u32(nodes[i].origin);
    event_u8((uint8_t)nodes[i].state);
  }
  event_end();
}

static void handle(uint8_t type, uint32_t id, Reader *r) {
  uint32_t length;
  Proc *p;
  switch (type) {
    case C_SPAWN:
      if (!closing) return spawn(id, r);
      event_begin(E_FAILED, id), event_u8(F_SETUP), event_u32(ECANCELED), event_end();
      return;
    case C_STDIN: {
      uint32_t seq = read_u32(r);
      const uint8_t *data = read_bytes(r, &length);
      if ((p = proc_by_id(id)) && !r->bad) return send_stdin(p, seq, data, length);
      event_begin(E_STDIN_DONE, id), event_u32(seq), event_u32(EPIPE), event_end();
      return;
    }
    case C_STDIN_END:
      if ((p = proc_by_id(id))) end_stdin(p);
      return;
    case C_SIGNAL: {
      uint8_t signal = read_u8(r), tree = read_u8(r);
      reap();
      if ((p = proc_by_id(id)) && signal > 0 && signal < 65) send_signal(p, signal, tree);
      return;
    }
    case C_STOP: {
      uint32_t target = read_u32(r), grace = read_u32(r);
      uint8_t signal = read_u8(r);
      // Who died by itself before this order did not die of it.
      reap();
      return stop(id, target, signal, grace * MS, false);
    }
    case C_HOLD:
      return hold(id, r);
    case C_RELEASE:
      return release(id);
    case C_CLOSE: {
      uint32_t grace = read_u32(r);
      uint8_t signal = read_u8(r);
      closing = true;
      reap();
      return stop(0, ALL, signal, grace * MS, false);
    }
    case C_SURVEY:
      return survey(id);
    case C_MARK: {
      uint32_t target = read_u32(r);
      if ((p = proc_by_id(target)) && !p->reaped) drain(p);
      event_begin(E_MARKED, id);
      event_u64(p ? (uint64_t)p->spool_size : 0);
      return event_end();
    }
  }
}

static void end_by_policy(void) {
  closing = true;
  uint64_t now = now_ns();
  for (size_t i = 0; i < proc_count; i++) {
    procs[i]->linger_until = now + procs[i]->linger_ns;
    end_stdin(procs[i]);
  }
  reap();
  stop(0, ALL, SIGTERM, options.grace_ns, true);
}

// Nothing more is said: whoever carries it (sshd, whose shell before this was killed) must not wait for the end of all.
static void let_go(void) {
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere < 0) return;
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, 1, NULL);
  dup2(nowhere, 1), dup2(nowhere, 2), close(nowhere);
}

static void owner_ended(void) {
  if (owner_gone) return;
  epoll_ctl(epoll_fd, EPOLL_CTL_DEL, 0, NULL);
  event_flush();
  owner_gone = true;
  let_go();
  end_by_policy();
}

static void on_signal(int fd) {
  struct signalfd_siginfo info;
  while (read(fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGTERM || closing) continue;
    end_by_policy();
  }
  reap();
}

static void on_ready(struct epoll_event *e) {
  int kind = (int)(e->data.u64 >> 32);
  Proc *p = proc_by_id((uint32_t)e->data.u64);
  if (kind == W_OWNER_IN) {
    heard_at = now_ns(), granted = 0;
    if (!take_input(handle)) owner_ended();
  } else if (kind == W_OWNER_OUT) {
    if (e->events & EPOLLOUT) event_flush();
    else if (e->events & (EPOLLERR | EPOLLHUP)) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, 1, NULL);
  } else if (p && kind == W_EXEC) {
    exec_told(p);
  } else if (p && kind == W_STDIN) {
    // An error without room to write: nobody reads, or nobody will.
    if (p->in_first || !(e->events & EPOLLERR)) pump_stdin(p);
    else shut(&p->in_fd);
  } else if (p) {
    pump(p, kind == W_STDERR, 1 << 18);
    if (p->reaped && p->out[0].fd < 0 && p->out[1].fd < 0) close_output(p);
  }
}

// Heartbeats are promised and none came: the owner is stopped. Whoever has stalled itself grants a full lease first.
static void judge_owner(uint64_t now, uint64_t slept_until) {
  if (!options.lease_ns || closing) return;
  if (now > slept_until + options.lease_ns / 2) heard_at = now;
  if (now < heard_at + options.lease_ns) return;
  // An owner that is alive and not stopped wants for a processor, as it does in a flood: it has three leases more.
  char state = process_state(getppid());
  if (state && !strchr("TtZX", state) && granted < 3 * options.lease_ns) {
    granted += options.lease_ns / 4;
    heard_at += options.lease_ns / 4;
    return;
  }
  event_begin(E_LAPSED, 0);
  event_u64(now - heard_at + granted);
  event_end();
  closing = lapsed = true;
  reap();
  stop(0, ALL, SIGTERM, options.grace_ns, false);
}

static void look_around(uint64_t now) {
  if (proc_count == 0 && node_count == 0) {
    if (now < strangers_next) return;
    strangers_next = now + SECOND;
    if (strangers()) scan();
    return;
  }
  if (now >= oom_at + SECOND) oom_refresh();
  uint64_t period = scan_cost * 200 > 5 * SECOND ? scan_cost * 200 : 5 * SECOND;
  bool due = now >= scanned_at + period || now >= doom_next;
  if (now >= strangers_next) {
    strangers_next = now + 200 * MS;
    due = due || strangers();
  }
  if (!due) return;
  scan();
}

static int until(uint64_t now) {
  uint64_t next = jobs_next < doom_next ? jobs_next : doom_next;
  if (strangers_next < next) next = strangers_next;
  if (options.lease_ns && !closing && heard_at + options.lease_ns < next) next = heard_at + options.lease_ns;
  return next <= now ? 0 : (int)((next - now) / MS) + 1;
}

static void prepare(void) {
  self_pid = getpid();
  self_start = start_time(self_pid);
  tag_prepare();
  setsid();
  if (options.adopt_kill) heir_prepare();
  if (options.parent_death) {
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (getppid() != parent) raise(SIGTERM);
  }
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fault("becoming a subreaper");
  getrlimit(RLIMIT_NOFILE, &files_given);
  struct rlimit more = {files_given.rlim_max, files_given.rlim_max};
  setrlimit(RLIMIT_NOFILE, &more);
  signal(SIGPIPE, SIG_IGN);
  // A file that may not grow is told by write, as a full disk is.
  signal(SIGXFSZ, SIG_IGN);
  fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (!watch(0, EPOLLIN, W_OWNER_IN, 0) || !watch(1, 0, W_OWNER_OUT, 0)) fault("fd 0 and 1 must be pipes or sockets");
}

static bool parse(int argc, char **argv) {
  for (int i = 0; i < argc; i++) {
    char *value = strchr(argv[i], '=');
    if (value) *value++ = 0;
    if (value && strcmp(argv[i], "--mark") == 0) options.mark = value;
    else if (value && strcmp(argv[i], "--lease-ms") == 0) options.lease_ns = strtoull(value, NULL, 10) * MS;
    else if (value && strcmp(argv[i], "--grace-ms") == 0) options.grace_ns = strtoull(value, NULL, 10) * MS;
    else if (value && strcmp(argv[i], "--live-rate") == 0) options.live_rate = strtoull(value, NULL, 10);
    else if (value && strcmp(argv[i], "--adopt") == 0) options.adopt_kill = strcmp(value, "kill") == 0;
    else if (!value && strcmp(argv[i], "--parent-death") == 0) options.parent_death = true;
    else return fprintf(stderr, "gangflow-keeper: unknown option %s\n", argv[i]), false;
  }
  return true;
}

int serve(int argc, char **argv) {
  if (!parse(argc, argv)) return 64;
  sigset_t set;
  sigemptyset(&set);
  int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) sigaddset(&set, taken[i]);
  sigprocmask(SIG_BLOCK, &set, NULL);
  prepare();
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0 || !watch(signals, EPOLLIN, W_SIGNAL, 0)) fault("signalfd");
  doom_next = UINT64_MAX;
  heard_at = now_ns();
  oom_refresh();
  event_begin(E_HELLO, 0);
  event_u8(KEEPER_PROTOCOL);
  event_u32((uint32_t)self_pid);
  event_u64(self_start);
  event_u64(tag_base);
  event_u64(tag_mask);
  event_text(KEEPER_VERSION);
  event_end();
  struct epoll_event ready[64];
  while (!(ended_all && (owner_gone || event_backlog() == 0))) {
    event_flush();
    uint64_t slept = now_ns();
    int wait = until(slept);
    int n = epoll_wait(epoll_fd, ready, 64, wait);
    uint64_t now = now_ns();
    // Ends first: a signal that is ordered in the same breath must not be taken for their cause.
    for (int pass = 0; pass < 2; pass++)
      for (int i = 0; i < n; i++)
        if (((int)(ready[i].data.u64 >> 32) == W_SIGNAL) == (pass == 0)) {
          if (pass == 0) on_signal(signals);
          else on_ready(&ready[i]);
        }
    judge_owner(now, slept + (uint64_t)wait * MS);
    uint64_t scanned = scanned_at;
    look_around(now_ns());
    run_jobs();
    if (scanned_at != scanned) tidy();
  }
  heir_dismiss();
  return lapsed ? 75 : 0;
}
