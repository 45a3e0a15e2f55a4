// Who is below the keeper, and of which tree. A process whose parent died is re-parented here, as the keeper is a
// subreaper: nothing that was started below can leave, whatever it forks, sets or clears. Which tree an orphan came
// from is known from the last scan, its tag, its session, its environment, or from there being one tree only.
#include "keeper.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

Node *nodes;
size_t node_count;
uint64_t scanned_at, scan_cost = 5 * MS, doom_next;
static Node *old;
static size_t old_count, old_room, node_room;
// A keeper that lost its owner ends its own, with their last lines, within this.
#define KEEPER_PATIENCE (5 * SECOND)

static ssize_t slurp(const char *path, char *text, size_t room) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t have = 0;
  ssize_t n;
  while (have < room - 1 && (n = read(fd, text + have, room - 1 - have)) > 0) have += (size_t)n;
  close(fd);
  text[have] = 0;
  return (ssize_t)have;
}

bool look(pid_t pid, Node *n) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (slurp(path, text, sizeof text) <= 0) return false;
  char *open = strchr(text, '('), *close = strrchr(text, ')');
  if (!open || !close || close[1] == 0) return false;
  *n = (Node){.pid = pid, .state = close[2]};
  size_t length = (size_t)(close - open - 1);
  memcpy(n->name, open + 1, length < sizeof n->name ? length : sizeof n->name - 1);
  n->is_keeper = strcmp(n->name, "gangflow-keeper") == 0;
  char *at = close + 3;
  for (int field = 4; field <= 22; field++) {
    unsigned long long value = strtoull(at, &at, 10);
    if (field == 4) n->ppid = (pid_t)value;
    if (field == 5) n->pgid = (pid_t)value;
    if (field == 6) n->sid = (pid_t)value;
    if (field == 20) n->threads = (uint32_t)value;
    if (field == 22) n->start = value;
  }
  return true;
}

uint64_t start_time(pid_t pid) {
  Node n;
  return look(pid, &n) ? n.start : 0;
}

char process_state(pid_t pid) {
  Node n;
  return look(pid, &n) ? n.state : 0;
}

// A zombie counts as alive while threads of it run.
bool alive(const Node *n) { return n->state != 'X' && n->state != 'x' && (n->state != 'Z' || n->threads > 1); }

static Node *find(Node *table, size_t count, pid_t pid) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (table[middle].pid < pid) low = middle + 1;
    else high = middle;
  }
  return low < count && table[low].pid == pid ? &table[low] : NULL;
}

Node *node_by_pid(pid_t pid) { return find(nodes, node_count, pid); }

static Node *before(const Node *n) {
  Node *b = find(old, old_count, n->pid);
  return b && b->start == n->start ? b : NULL;
}

// The id under which this keeper keeps it, by the environment that it was started with.
static uint32_t by_environment(pid_t pid) {
  static char text[1 << 18];
  char path[32], own[64];
  snprintf(path, sizeof path, "/proc/%d/environ", pid);
  ssize_t length = slurp(path, text, sizeof text);
  int own_length = snprintf(own, sizeof own, "%d.%llu/", self_pid, (unsigned long long)self_start);
  for (char *at = text; length > 0 && at < text + length; at += strlen(at) + 1) {
    if (strncmp(at, "GANGFLOW_KEPT=", 14) != 0) continue;
    for (char *part = at + 14; part; part = strchr(part, ':')) {
      if (*part == ':') part++;
      if (strncmp(part, own, (size_t)own_length) != 0) continue;
      uint32_t id = (uint32_t)strtoul(part + own_length, NULL, 10);
      return proc_by_id(id) ? id : GONE;
    }
  }
  return UNKNOWN;
}

static uint32_t by_session(pid_t sid) {
  for (size_t i = 0; i < proc_count; i++)
    if (procs[i]->pid == sid) return procs[i]->id;
  for (size_t i = 0; i < old_count; i++)
    if (old[i].sid == sid && old[i].origin != UNKNOWN) return old[i].origin;
  return UNKNOWN;
}

static uint32_t attribute(const Node *n) {
  Node *b = before(n);
  if (b && b->origin != UNKNOWN) return b->origin == GONE || proc_by_id(b->origin) ? b->origin : GONE;
  uint32_t origin = tag_read(n->pid);
  if (origin == UNKNOWN) origin = by_session(n->sid);
  if (origin == UNKNOWN) origin = by_environment(n->pid);
  if (origin == UNKNOWN && proc_count == 1) origin = procs[0]->id;
  return origin;
}

static uint32_t resolve(Node *n) {
  if (n->resolved) return n->origin;
  n->resolved = true;
  if (n->ppid == self_pid) {
    Proc *p = proc_by_pid(n->pid);
    n->orphan = !p;
    return n->origin = p ? p->id : attribute(n);
  }
  Node *up = find(nodes, node_count, n->ppid);
  if (up) {
    n->origin = resolve(up);
    if (up->doomed && !up->is_keeper) n->doomed = up->doomed;
    return n->origin;
  }
  // Its parent ended while we looked.
  Node *b = before(n);
  return n->origin = b ? b->origin : NOT_OURS;
}

bool signal_node(const Node *n, int signal) {
  int fd = (int)syscall(SYS_pidfd_open, n->pid, 0);
  // Older kernels and containers that forbid it.
  if (fd < 0) return errno != ESRCH && start_time(n->pid) == n->start && kill(n->pid, signal) == 0;
  // The number may have been given to another since the scan.
  bool sent = start_time(n->pid) == n->start && syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
  close(fd);
  return sent;
}

static bool unwanted(const Node *n) {
  // An order to stop that is under way has a grace of its own.
  if (!n->orphan || !alive(n) || being_stopped(n->origin)) return false;
  if (n->origin == GONE) return true;
  if (n->origin == UNKNOWN) return options.adopt_kill;
  Proc *p = proc_by_id(n->origin);
  return p && (p->strays_end || p->stopped);
}

// With all below it, but for a keeper's: those it ends itself.
static void doom(Node *n, uint64_t until) {
  n->doomed = until;
  n->fresh = true;
  if (n->is_keeper) return;
  for (size_t i = 0; i < node_count; i++)
    if (nodes[i].ppid == n->pid && !nodes[i].doomed) doom(&nodes[i], until);
}

static void end_strays(uint64_t now) {
  doom_next = UINT64_MAX;
  for (size_t i = 0; i < node_count; i++) {
    Node *n = &nodes[i];
    if (n->doomed || !unwanted(n)) continue;
    doom(n, now + (n->is_keeper ? KEEPER_PATIENCE : options.grace_ns));
    event_begin(E_STRAY, n->origin);
    event_u32((uint32_t)n->pid);
    event_u64(n->start);
    event_text(n->name);
    event_end();
  }
  for (size_t i = 0; i < node_count; i++) {
    Node *n = &nodes[i];
    if (!n->doomed || !alive(n)) continue;
    // What it starts in answer to TERM is left alone until the KILL.
    if (!n->termed && !n->is_keeper && (n->fresh || n->orphan)) n->termed = signal_node(n, SIGTERM);
    if (now >= n->doomed) signal_node(n, SIGKILL);
    uint64_t next = n->doomed > now ? n->doomed : now + 20 * MS;
    if (next < doom_next) doom_next = next;
  }
}

void scan(void) {
  uint64_t begun = now_ns();
  Node *table = old;
  size_t room = old_room;
  old = nodes, old_count = node_count, old_room = node_room;
  nodes = table, node_room = room, node_count = 0;
  DIR *all = opendir("/proc");
  if (!all) return;
  bool sorted = true;
  for (struct dirent *entry; (entry = readdir(all));) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    if (node_count == node_room) nodes = need(realloc(nodes, (node_room = node_room * 2 + 256) * sizeof *nodes));
    Node *n = &nodes[node_count];
    if (!look(atoi(entry->d_name), n) || n->pid == heir_pid) continue;
    if (node_count > 0 && nodes[node_count - 1].pid > n->pid) sorted = false;
    node_count++;
  }
  closedir(all);
  if (!sorted) node_count = 0;
  for (size_t i = 0; i < node_count; i++) {
    Node *b = before(&nodes[i]);
    if (b) nodes[i].termed = b->termed, nodes[i].doomed = b->doomed;
  }
  for (size_t i = 0; i < node_count; i++) resolve(&nodes[i]);
  size_t kept = 0;
  for (size_t i = 0; i < node_count; i++)
    if (nodes[i].origin != NOT_OURS) nodes[kept++] = nodes[i];
  node_count = kept;
  end_strays(begun);
  scanned_at = now_ns();
  scan_cost = (scan_cost * 3 + (scanned_at - begun)) / 4;
}

// Whether a process has been re-parented here that no scan has seen; a scan's worth of work where the kernel does
// not list children.
bool strangers(void) {
  static char text[1 << 16];
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", self_pid);
  if (slurp(path, text, sizeof text) < 0) return now_ns() - scanned_at > SECOND;
  for (char *at = text; *at;) {
    pid_t pid = (pid_t)strtol(at, &at, 10);
    while (*at == ' ') at++;
    if (pid <= 0 || pid == heir_pid || proc_by_pid(pid)) continue;
    Node *n = find(nodes, node_count, pid);
    if (!n || !n->orphan) return true;
  }
  return false;
}
