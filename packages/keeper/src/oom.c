// Whether the kernel's out-of-memory killer struck: its counters, of our control group and of the machine.
#include "keeper.h"
#include <stdio.h>
#include <string.h>

static char group_file[512];
static uint64_t group_last, machine_last;
static bool found;

static uint64_t count_in(const char *file) {
  char line[256];
  unsigned long long value = 0;
  FILE *f = fopen(file, "re");
  if (!f) return 0;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "oom_kill %llu", &value) == 1) break;
  fclose(f);
  return value;
}

static bool usable(const char *format, const char *path) {
  snprintf(group_file, sizeof group_file, format, path);
  FILE *f = fopen(group_file, "re");
  if (f) fclose(f);
  return f != NULL;
}

static void find_group(void) {
  char line[300], path[256];
  found = true;
  FILE *f = fopen("/proc/self/cgroup", "re");
  if (!f) return;
  bool done = false;
  while (!done && fgets(line, sizeof line, f)) {
    if (sscanf(line, "0::%255s", path) == 1)
      done = usable("/sys/fs/cgroup%s/memory.events", path) || usable("/sys/fs/cgroup/memory.events", "");
    else if (strstr(line, ":memory:") && sscanf(strstr(line, ":memory:"), ":memory:%255s", path) == 1)
      done = usable("/sys/fs/cgroup/memory%s/memory.oom_control", path) ||
             usable("/sys/fs/cgroup/memory/memory.oom_control", "");
  }
  if (!done) group_file[0] = 0;
  fclose(f);
}

static bool grown(void) {
  if (!found) find_group();
  uint64_t group = group_file[0] ? count_in(group_file) : 0, machine = count_in("/proc/vmstat");
  bool more = group > group_last || machine > machine_last;
  group_last = group, machine_last = machine;
  return more;
}

uint64_t oom_at;

// Now and then, so that what struck others long ago is not taken for the cause of an end today.
void oom_refresh(void) {
  oom_at = now_ns();
  grown();
}

// Two that were struck at once are both told so.
bool oom_struck(void) {
  static uint64_t struck_at;
  if (grown()) struck_at = now_ns();
  return struck_at > 0 && now_ns() - struck_at < SECOND;
}
