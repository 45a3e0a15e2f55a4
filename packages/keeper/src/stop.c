// Ends trees: the ordered signal to every living process of them, KILL after the grace, again and again until two
// scans in a row find nothing.
#include "keeper.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Job {
  struct Job *next;
  uint32_t request, target;
  int signal;
  bool spare_lingering;
  int empty, rounds;
  uint64_t kill_at, due;
} Job;

static Job *jobs;
uint64_t jobs_next = UINT64_MAX;
bool ended_all;

void told_to_end(Proc *p, int signal) {
  p->signals_sent[signal / 32] |= 1u << signal % 32;
  if (signal == SIGTERM || signal == SIGKILL || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT)
    p->asked_to_end = true;
}

// Whether a direct child has not ended by itself in the meantime: that is no end of ours.
static bool runs(const Proc *p) {
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static void order(const Node *n, int signal) {
  Proc *p = n->orphan ? NULL : proc_by_pid(n->pid);
  if ((p && !runs(p)) || !signal_node(n, signal)) return;
  if (p) told_to_end(p, signal);
  // A stopped process acts on a signal only once it goes on.
  if (n->state == 'T' && signal != SIGKILL && signal != SIGSTOP) signal_node(n, SIGCONT);
}

void send_signal(Proc *p, int signal, bool tree) {
  uint32_t id = p->id;
  if (!tree) {
    if (!p->reaped && runs(p) && kill(p->pid, signal) == 0) told_to_end(p, signal);
    return;
  }
  scan();
  for (size_t i = 0; i < node_count; i++)
    if (nodes[i].origin == id && alive(&nodes[i])) order(&nodes[i], signal);
}

void stop(uint32_t request, uint32_t target, int signal, uint64_t grace, bool spare_lingering) {
  Job *job = need(calloc(1, sizeof *job));
  uint64_t now = now_ns();
  *job = (Job){jobs, request, target, signal, spare_lingering, 0, 0, now + grace, now};
  jobs = job;
  jobs_next = now;
  for (size_t i = 0; i < proc_count; i++)
    if (target == procs[i]->id || (target == ALL && !spare_lingering)) procs[i]->stopped = true;
  // An older scan's TERM does not count for this order.
  for (size_t i = 0; i < node_count; i++)
    if ((target == ALL || nodes[i].origin == target) && !nodes[i].doomed) nodes[i].termed = false;
}

static bool spared(const Job *job, const Node *n, uint64_t now) {
  if (!job->spare_lingering) return false;
  Proc *p = proc_by_id(n->origin);
  return p && p->lingers && now < p->linger_until;
}

static void finish(Job *job) {
  for (size_t i = proc_count; i-- > 0;) {
    Proc *p = procs[i];
    if (p->reaped && (job->target == ALL || job->target == p->id)) drain(p), close_output(p);
  }
  if (job->request) {
    event_begin(E_STOPPED, job->request);
    event_u32(0);
    event_end();
  } else {
    ended_all = true;
  }
}

// What a process starts while it heeds the order (a copy of its last state, say) is not disturbed until the KILL.
static bool parent_was_told(const Node *n) {
  const Node *up = node_by_pid(n->ppid);
  return up && alive(up) && (up->termed || parent_was_told(up));
}

// One round; true when nothing is left.
static bool work(Job *job, uint64_t now) {
  size_t left = 0, ordered = 0, lingering = 0;
  bool last = now >= job->kill_at;
  for (size_t i = 0; i < node_count; i++) {
    Node *n = &nodes[i];
    if ((job->target != ALL && n->origin != job->target) || !alive(n)) continue;
    left++;
    if (spared(job, n, now)) {
      lingering++;
    } else if (last) {
      order(n, SIGKILL);
      ordered++;
    } else if (!n->termed && (job->rounds == 0 || !parent_was_told(n))) {
      n->termed = true;
      order(n, job->signal);
      ordered++;
    }
  }
  // A direct child that is dead but not yet taken counts as left; one that no scan can see (no /proc) is met by group.
  for (size_t i = 0; left == 0 && i < proc_count; i++) {
    Proc *p = procs[i];
    if (p->reaped || (job->target != ALL && job->target != p->id)) continue;
    left = 1;
    if (node_count == 0 && runs(p) && kill(-p->pid, last ? SIGKILL : job->signal) == 0) told_to_end(p, SIGKILL);
  }
  if (left == 0) return ++job->empty >= 2;
  job->empty = 0;
  job->rounds++;
  // What forks faster than we look is met without a pause; what does not die is asked less and less often.
  uint64_t pause = lingering == left ? 250 * MS : last && job->rounds < 50 && ordered > 0 ? MS : 20 * MS;
  if (job->rounds > 200) pause = 200 * MS;
  if (pause < scan_cost) pause = scan_cost;
  job->due = now + pause;
  if (!last && job->due > job->kill_at) job->due = job->kill_at;
  return false;
}

void hurry_jobs(void) {
  uint64_t soon = scanned_at + scan_cost;
  for (Job *job = jobs; job; job = job->next)
    if (job->due > soon) job->due = soon;
  if (jobs && jobs_next > soon) jobs_next = soon;
}

void run_jobs(void) {
  if (!jobs || now_ns() < jobs_next) return;
  reap();
  scan();
  uint64_t now = now_ns();
  jobs_next = UINT64_MAX;
  for (Job **at = &jobs; *at;) {
    Job *job = *at;
    if (job->due <= now) {
      if (work(job, now)) {
        finish(job);
        *at = job->next;
        free(job);
        continue;
      }
      if (job->empty > 0) job->due = now;
    }
    if (job->due < jobs_next) jobs_next = job->due;
    at = &job->next;
  }
}

bool being_stopped(uint32_t origin) {
  Proc *p = proc_by_id(origin);
  for (Job *job = jobs; job; job = job->next)
    if (job->target == origin || (job->target == ALL && !(job->spare_lingering && p && p->lingers))) return true;
  return false;
}

static bool wanted(const Proc *p) {
  for (Job *job = jobs; job; job = job->next)
    if (job->target == p->id || job->target == ALL) return true;
  for (size_t i = 0; i < node_count; i++)
    if (nodes[i].origin == p->id) return true;
  return false;
}

// Lets go of those of whom nothing is left; only right after a scan.
void tidy(void) {
  for (size_t i = proc_count; i-- > 0;)
    if (procs[i]->reaped && !wanted(procs[i])) close_output(procs[i]), forget(procs[i]);
}
