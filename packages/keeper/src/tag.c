// A mark that a process cannot shake off by accident: the soft limit on real-time CPU time. It is inherited by fork
// and kept by exec, whatever happens to environment, session and title, and what we set (2^62 µs) limits nothing.
// Bits: 62 set, 48-61 which outermost keeper, 24-47 its process, 0-23 the process of a keeper below that one.
#include "keeper.h"
#include <sys/resource.h>

#define FLAG (1ull << 62)
#define MASK 0xffffffull
static uint64_t base;
static int shift;

// After the pid is known; an outer keeper's tag was inherited and is extended.
void tag_prepare(void) {
  struct rlimit now;
  if (getrlimit(RLIMIT_RTTIME, &now) < 0) return;
  bool outer = now.rlim_cur != RLIM_INFINITY && now.rlim_cur & FLAG;
  if (now.rlim_cur != RLIM_INFINITY && !outer) return;
  if (outer && !options.adopt_kill && (now.rlim_cur & MASK) == 0) {
    base = now.rlim_cur;
    shift = 0;
  } else {
    uint64_t token = (uint64_t)self_pid * 2654435761u ^ self_start * 40503u;
    base = FLAG | ((token ^ token >> 14 ^ token >> 28) & 0x3fff) << 48;
    shift = 24;
  }
}

// In the child, before exec.
void tag_set(uint32_t id) {
  struct rlimit now;
  if (!base || id > MASK || getrlimit(RLIMIT_RTTIME, &now) < 0) return;
  now.rlim_cur = base | (uint64_t)id << shift;
  setrlimit(RLIMIT_RTTIME, &now);
}

// The id under which this keeper started the process or an ancestor of it, else UNKNOWN.
uint32_t tag_read(pid_t pid) {
  struct rlimit its;
  if (!base || prlimit(pid, RLIMIT_RTTIME, NULL, &its) < 0 || its.rlim_cur == RLIM_INFINITY) return UNKNOWN;
  uint64_t ours = ~(MASK << shift) & ~(shift ? MASK : 0);
  if ((its.rlim_cur & ours) != base) return UNKNOWN;
  uint32_t id = (uint32_t)(its.rlim_cur >> shift & MASK);
  if (id == 0) return UNKNOWN;
  return proc_by_id(id) ? id : GONE;
}
