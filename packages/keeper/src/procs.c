// The processes that the owner asked for, as long as anything of them is left.
#include "keeper.h"
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

Proc **procs;
size_t proc_count;
static size_t proc_room;

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

// Out of the watch first: a start that has not come to its exec has copies, and epoll would tell of them without end.
void shut(int *fd) {
  if (*fd >= 0) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, *fd, NULL), close(*fd);
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

Proc *enroll(uint32_t id) {
  if (proc_count == proc_room) procs = need(realloc(procs, (proc_room = proc_room * 2 + 16) * sizeof *procs));
  Proc *p = procs[proc_count++] = need(calloc(1, sizeof *p));
  *p = (Proc){.id = id, .exec_fd = -1, .in_fd = -1, .out = {{.fd = -1}, {.fd = -1}}, .spool = -1};
  return p;
}
