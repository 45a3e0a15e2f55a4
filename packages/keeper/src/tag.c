// A mark that a process cannot shake off by accident: the soft limit on real-time CPU time. It is inherited by fork
// and kept by exec, whatever happens to environment, session and title, and what we set (2^62 µs) limits nothing.
// Bits: 62 set, 36-61 which outermost keeper, 16-35 its process, 0-15 the process of a keeper below that one.
#include "keeper.h"
#include <sys/resource.h>

#define FLAG (1ull << 62)
#define OUTER 36
#define INNER 16
uint64_t tag_base, tag_mask;
static int shift, width;

// After the pid is known; an outer keeper's tag was inherited and is extended.
void tag_prepare(void) {
  struct rlimit now;
  if (getrlimit(RLIMIT_RTTIME, &now) < 0) return;
  bool outer = now.rlim_cur != RLIM_INFINITY && now.rlim_cur & FLAG;
  if (now.rlim_cur != RLIM_INFINITY && !outer) return;
  if (outer && !options.adopt_kill && (now.rlim_cur & ((1ull << INNER) - 1)) == 0) {
    tag_base = now.rlim_cur;
    shift = 0, width = INNER;
  } else {
    uint64_t token = ((uint64_t)self_pid << 32 ^ self_start) * 0x9e3779b97f4a7c15ull;
    tag_base = FLAG | token >> (64 - (62 - OUTER)) << OUTER;
    shift = INNER, width = OUTER - INNER;
  }
  tag_mask = ~((1ull << (shift + width)) - 1);
}

// In the child, before exec.
void tag_set(uint32_t id) {
  struct rlimit now;
  if (!tag_base || id >> width || getrlimit(RLIMIT_RTTIME, &now) < 0) return;
  now.rlim_cur = tag_base | (uint64_t)id << shift;
  setrlimit(RLIMIT_RTTIME, &now);
}

// Whether this keeper, or one below it, started the process or an ancestor of it.
bool tagged(pid_t pid) {
  struct rlimit its;
  return tag_base && prlimit(pid, RLIMIT_RTTIME, NULL, &its) == 0 && its.rlim_cur != RLIM_INFINITY &&
         (its.rlim_cur & tag_mask) == tag_base;
}

// The id under which this keeper started the process or an ancestor of it, else UNKNOWN.
uint32_t tag_read(pid_t pid) {
  struct rlimit its;
  if (!tagged(pid) || prlimit(pid, RLIMIT_RTTIME, NULL, &its) < 0) return UNKNOWN;
  uint32_t id = (uint32_t)((its.rlim_cur & ~tag_mask) >> shift);
  if (id == 0) return UNKNOWN;
  return proc_by_id(id) ? id : GONE;
}
