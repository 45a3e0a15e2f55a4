// Frames both ways: u32 big-endian length of the rest, u8 type, u32 id, fields. What the owner does not read waits
// in one queue; whoever adds live output looks at its length first, so only small events can make it grow.
#include "keeper.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct {
  uint8_t *data;
  size_t from, to, room, frame;
  bool waiting;
} queue;

static void put(const void *data, size_t length) {
  if (owner_gone) return;
  if (queue.to + length > queue.room) {
    memmove(queue.data, queue.data + queue.from, queue.to - queue.from);
    queue.to -= queue.from;
    queue.frame -= queue.from;
    queue.from = 0;
    if (queue.to + length > queue.room) {
      queue.room = (queue.to + length) * 2;
      queue.data = need(realloc(queue.data, queue.room));
    }
  }
  memcpy(queue.data + queue.to, data, length);
  queue.to += length;
}

void event_begin(uint8_t type, uint32_t id) {
  queue.frame = queue.to;
  event_u32(0);
  event_u8(type);
  event_u32(id);
}
void event_u8(uint8_t value) { put(&value, 1); }
void event_u16(uint16_t value) {
  uint8_t b[2] = {value >> 8, (uint8_t)value};
  put(b, 2);
}
void event_u32(uint32_t value) {
  uint8_t b[4] = {value >> 24, value >> 16, value >> 8, (uint8_t)value};
  put(b, 4);
}
void event_u64(uint64_t value) {
  event_u32((uint32_t)(value >> 32));
  event_u32((uint32_t)value);
}
void event_bytes(const void *data, size_t length) { put(data, length); }
void event_text(const char *text) {
  event_u32((uint32_t)strlen(text));
  put(text, strlen(text));
}
void event_end(void) {
  if (owner_gone) return;
  uint32_t length = (uint32_t)(queue.to - queue.frame - 4);
  uint8_t *b = queue.data + queue.frame;
  b[0] = length >> 24, b[1] = length >> 16, b[2] = length >> 8, b[3] = (uint8_t)length;
}

size_t event_backlog(void) { return queue.to - queue.from; }

void event_flush(void) {
  while (queue.from < queue.to && !owner_gone) {
    ssize_t n = write(1, queue.data + queue.from, queue.to - queue.from);
    if (n > 0) {
      queue.from += (size_t)n;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      if (!queue.waiting) rewatch(1, EPOLLOUT, W_OWNER_OUT, 0);
      queue.waiting = true;
      return;
    } else {
      // Nobody reads any more; whether the owner is gone is told by fd 0 alone.
      queue.from = queue.to;
    }
  }
  queue.from = queue.to = 0;
  if (queue.waiting) rewatch(1, 0, W_OWNER_OUT, 0);
  queue.waiting = false;
}

static uint64_t take(Reader *r, int bytes) {
  if (r->bad || r->end - r->at < bytes) return r->bad = true, 0;
  uint64_t value = 0;
  while (bytes-- > 0) value = value << 8 | *r->at++;
  return value;
}
uint8_t read_u8(Reader *r) { return (uint8_t)take(r, 1); }
uint16_t read_u16(Reader *r) { return (uint16_t)take(r, 2); }
uint32_t read_u32(Reader *r) { return (uint32_t)take(r, 4); }
const uint8_t *read_bytes(Reader *r, uint32_t *length) {
  *length = read_u32(r);
  if (r->bad || (size_t)(r->end - r->at) < *length) return r->bad = true, *length = 0, r->end;
  const uint8_t *bytes = r->at;
  r->at += *length;
  return bytes;
}
char *read_text(Reader *r) {
  uint32_t length;
  const uint8_t *bytes = read_bytes(r, &length);
  char *text = need(malloc(length + 1));
  memcpy(text, bytes, length);
  text[length] = 0;
  return text;
}

// Reads what fd 0 has and handles the whole frames of it; false at its end.
bool take_input(void (*handle)(uint8_t type, uint32_t id, Reader *r)) {
  static uint8_t *data;
  static size_t have, room;
  for (int turn = 0; turn < 16; turn++) {
    if (room - have < 65536) data = need(realloc(data, room = room * 2 + 131072));
    ssize_t n = read(0, data + have, room - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false;
    have += (size_t)n;
    size_t from = 0;
    while (have - from >= 9) {
      uint8_t *b = data + from;
      size_t length = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
      if (length < 5 || length > 64u << 20) errno = EPROTO, fault("a frame of the owner");
      if (have - from < 4 + length) break;
      Reader r = {b + 9, b + 4 + length, false};
      handle(b[4], (uint32_t)b[5] << 24 | (uint32_t)b[6] << 16 | (uint32_t)b[7] << 8 | b[8], &r);
      from += 4 + length;
    }
    memmove(data, data + from, have -= from);
    // A big frame's room is given back.
    if (have == 0 && room > 4u << 20) free(data), data = NULL, room = 0;
  }
  return true;
}
