// Clock, memory, and what epoll tells of a descriptor.
#include "keeper.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

void fault(const char *what) {
  fprintf(stderr, "gangflow-keeper: %s: %s\n", what, strerror(errno));
  exit(70);
}

void *need(void *memory) {
  if (!memory) fault("memory");
  return memory;
}

static struct epoll_event about(uint32_t events, int kind, uint32_t id) {
  return (struct epoll_event){.events = events, .data.u64 = (uint64_t)kind << 32 | id};
}

bool watch(int fd, uint32_t events, int kind, uint32_t id) {
  struct epoll_event e = about(events, kind, id);
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

void rewatch(int fd, uint32_t events, int kind, uint32_t id) {
  struct epoll_event e = about(events, kind, id);
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &e);
}
