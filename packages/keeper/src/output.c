// A process's output: read from its pipes, written to the spool, and only then shown to the owner, as far as it
// reads. Records are those of packages/core/src/datastore/log-format.ts.
#include "keeper.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK (1 << 16)
// Events that the owner has not read yet, in bytes, above which live output is left out.
#define BACKLOG (1 << 20)
#define BURST (4u << 20)

static uint8_t buffer[CHUNK];

static void header(uint8_t *head, int stream, uint64_t at, size_t length) {
  head[0] = (uint8_t)(stream + 1);
  for (int i = 0; i < 8; i++) head[1 + i] = (uint8_t)(at >> (56 - 8 * i));
  for (int i = 0; i < 4; i++) head[9 + i] = (uint8_t)(length >> (24 - 8 * i));
}

// All or nothing: a file that grew by a part is cut back to the end of its last record.
static bool append(Proc *p, struct iovec *parts, int count) {
  off_t written = 0;
  while (count > 0) {
    ssize_t n = writev(p->spool, parts, count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int error = errno;
      off_t end = lseek(p->spool, 0, SEEK_CUR);
      if (written > 0 && ftruncate(p->spool, end - written) < 0) error = errno;
      errno = error;
      return false;
    }
    written += n;
    while (count > 0 && (size_t)n >= parts->iov_len) n -= (ssize_t)parts++->iov_len, count--;
    if (count > 0) parts->iov_base = (char *)parts->iov_base + n, parts->iov_len -= (size_t)n;
  }
  p->spool_size = lseek(p->spool, 0, SEEK_CUR);
  return true;
}

static void spool(Proc *p, int stream, uint64_t at, const uint8_t *data, size_t length) {
  if (p->spool < 0) return;
  uint8_t head[13], note_head[13];
  char note[96];
  header(head, stream, at, length);
  struct iovec parts[4] = {{note_head, 13}, {note, 0}, {head, 13}, {(void *)data, length}};
  bool lost = p->spool_lost > 0;
  if (lost) {
    // Together with the output after the gap, so that a disk with little room does not fill with notes.
    int n = snprintf(note, sizeof note, "[gangflow: %llu bytes of output lost: the disk did not take them]\n",
                     (unsigned long long)p->spool_lost);
    parts[1].iov_len = (size_t)n;
    header(note_head, 1, at, (size_t)n);
  }
  if (append(p, lost ? parts : parts + 2, lost ? 4 : 2)) {
    p->spool_lost = 0;
    return;
  }
  int error = errno;
  p->spool_lost += length;
  p->spool_lost_all += length;
  if (lost) return;
  event_begin(E_SPOOL_FAULT, p->id);
  event_u32((uint32_t)error);
  event_u64(p->spool_lost_all);
  event_end();
}

static bool may_show(Proc *p, uint64_t at, size_t length) {
  if (p->live_at == 0) p->live_tokens = BURST;
  else p->live_tokens += (uint64_t)((double)(at - p->live_at) / 1e9 * (double)options.live_rate);
  if (p->live_tokens > BURST) p->live_tokens = BURST;
  p->live_at = at;
  if (event_backlog() > BACKLOG || p->live_tokens < length) return false;
  p->live_tokens -= length;
  return true;
}

static void show(Proc *p, int stream, uint64_t at, const uint8_t *data, size_t length) {
  Stream *s = &p->out[stream];
  if (!may_show(p, at, length)) {
    s->skipped += length;
    return;
  }
  event_begin(E_OUTPUT, p->id);
  event_u8((uint8_t)(stream + 1));
  event_u64(at);
  event_u64(s->skipped);
  event_bytes(data, length);
  event_end();
  s->skipped = 0;
}

// At most `limit` bytes, so that nobody's flood keeps the others waiting.
void pump(Proc *p, int which, size_t limit) {
  Stream *s = &p->out[which];
  while (s->fd >= 0 && limit > 0) {
    ssize_t n = read(s->fd, buffer, limit < CHUNK ? limit : CHUNK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      shut(&s->fd);
      break;
    }
    uint64_t at = now_ns();
    spool(p, which, at, buffer, (size_t)n);
    show(p, which, at, buffer, (size_t)n);
    limit -= (size_t)n;
    if ((size_t)n < CHUNK && limit > CHUNK) limit = CHUNK;
  }
}

// What is in the pipes now; a descendant that goes on writing does not hold up the report of the end.
void drain(Proc *p) {
  for (int i = 0; i < 2; i++) {
    int waiting = 0;
    if (p->out[i].fd < 0) continue;
    if (ioctl(p->out[i].fd, FIONREAD, &waiting) < 0) waiting = 1 << 20;
    pump(p, i, (size_t)waiting + 1);
  }
}

// Nothing can come any more: the spool is final.
void close_output(Proc *p) {
  if (p->closed) return;
  p->closed = true;
  for (int i = 0; i < 2; i++) shut(&p->out[i].fd);
  if (p->spool >= 0) close(p->spool);
  p->spool = -1;
  event_begin(E_CLOSED, p->id);
  event_u64(p->out[0].skipped + p->out[1].skipped);
  event_u64(p->spool_lost_all);
  event_end();
}
