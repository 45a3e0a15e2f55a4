// Feeds a process's standard input as it reads; each piece is acknowledged when the pipe has it whole.
#include "keeper.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

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
