// What the parts of the keeper share. The wire is documented in docs/reference/keeper.md.
#ifndef KEEPER_H
#define KEEPER_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define KEEPER_PROTOCOL 1
#define MS 1000000ull
#define SECOND (1000ull * MS)

// Commands of the owner, on fd 0.
enum { C_SPAWN = 1, C_STDIN, C_STDIN_END, C_SIGNAL, C_STOP, C_HOLD, C_RELEASE, C_PING, C_CLOSE, C_SURVEY,
       C_MARK };
// Events for the owner, on fd 1.
enum {
  E_HELLO = 1, E_STARTED, E_FAILED, E_OUTPUT, E_EXITED, E_CLOSED, E_STOPPED, E_HELD, E_STDIN_DONE, E_SPOOL_FAULT,
  E_LAPSED, E_STRAY, E_RELEASED, E_SURVEY, E_MARKED
};
// Where a start failed, in E_FAILED.
enum { F_SETUP = 1, F_FORK, F_SPOOL, F_CWD, F_EXEC };

// Whom a process belongs to, where it is no id of a Proc.
#define NOT_OURS 0u
#define UNKNOWN 0xfffffffeu
#define GONE 0xfffffffdu  // of a tree that is over
#define ALL 0xffffffffu

// A piece of standard input that waits for room in the pipe.
typedef struct Piece {
  struct Piece *next;
  uint32_t seq;
  size_t off, len;
  uint8_t data[];
} Piece;

typedef struct {
  int fd;              // read end of the pipe, -1 once closed
  uint64_t skipped;    // bytes that the live view has missed since the last one that it got
} Stream;

// One process that the owner asked for; kept until nothing of its tree is left.
typedef struct Proc {
  uint32_t id;
  pid_t pid;
  uint64_t start;           // field 22 of /proc/PID/stat
  int exec_fd;              // tells how exec went, -1 once known
  int in_fd;
  Stream out[2];            // stdout, stderr
  int spool;                // -1: its output goes to the keeper's stderr
  off_t spool_size;
  uint64_t spool_lost;      // bytes that the disk did not take, since the last record that it took
  uint64_t spool_lost_all;
  uint64_t live_tokens;     // bytes that may be forwarded now
  uint64_t live_at;
  Piece *in_first, *in_last;
  bool in_ending;
  bool started, reaped, closed;
  bool asked_to_end;        // a terminating signal was sent by us
  uint32_t signals_sent[3]; // bit per signal
  bool stopped;             // its tree was ordered to end: what appears of it later ends too
  bool strays_end;          // what is re-parented from its tree ends at once
  bool lingers;
  uint64_t linger_ns, linger_until;
} Proc;

// One process of the system, as the last scan saw it.
typedef struct {
  pid_t pid, ppid, pgid, sid;
  uint64_t start;
  uint32_t origin;
  uint32_t threads;
  char state;
  bool resolved, orphan, termed, is_keeper, fresh;
  uint64_t doomed;          // a stray: when it gets its KILL, 0 if it is none
  char name[16];
} Node;

typedef struct {
  const uint8_t *at, *end;
  bool bad;
} Reader;

// options and state of the whole (serve.c)
extern struct Options {
  const char *mark;
  uint64_t lease_ns;
  uint64_t grace_ns;        // TERM to KILL when the owner is gone, and for strays
  uint64_t live_rate;       // bytes a second forwarded of one process
  bool adopt_kill;
  bool parent_death;
} options;
extern pid_t self_pid;
extern uint64_t self_start;
extern bool owner_gone;
extern int epoll_fd;
extern struct rlimit files_given; // before the keeper raised its own
extern Proc **procs;
extern size_t proc_count;

// util.c
uint64_t now_ns(void);
void *need(void *memory);
void fault(const char *what);
bool watch(int fd, uint32_t events, int kind, uint32_t id);
void rewatch(int fd, uint32_t events, int kind, uint32_t id);
enum { W_OWNER_IN = 1, W_OWNER_OUT, W_SIGNAL, W_STDOUT, W_STDERR, W_STDIN, W_EXEC };

// frame.c
void event_begin(uint8_t type, uint32_t id);
void event_u8(uint8_t value);
void event_u16(uint16_t value);
void event_u32(uint32_t value);
void event_u64(uint64_t value);
void event_bytes(const void *data, size_t length);
void event_text(const char *text);
void event_end(void);
size_t event_backlog(void);
void event_flush(void);
uint8_t read_u8(Reader *r);
uint16_t read_u16(Reader *r);
uint32_t read_u32(Reader *r);
const uint8_t *read_bytes(Reader *r, uint32_t *length);
char *read_text(Reader *r);
bool take_input(void (*handle)(uint8_t type, uint32_t id, Reader *r));

// procs.c
Proc *enroll(uint32_t id);
Proc *proc_by_id(uint32_t id);
Proc *proc_by_pid(pid_t pid);
void forget(Proc *p);
void shut(int *fd);

// spawn.c, exec.c
typedef struct {
  uint32_t id;
  char *cwd, *spool;
  char **argv, **env;
} Request;
void spawn(uint32_t id, Reader *r);
void exec_told(Proc *p);
_Noreturn void become(const Request *q, int in, int out, int err, int told);

// stdin.c
void send_stdin(Proc *p, uint32_t seq, const uint8_t *data, uint32_t length);
void end_stdin(Proc *p);
void pump_stdin(Proc *p);

// ends.c
void reap(void);

// output.c
void pump(Proc *p, int which, size_t limit);
void drain(Proc *p);
void close_output(Proc *p);

// tree.c
extern Node *nodes;
extern size_t node_count;
extern uint64_t scanned_at, scan_cost, doom_next;
void scan(void);
bool look(pid_t pid, Node *n);
bool alive(const Node *n);
Node *node_by_pid(pid_t pid);
bool signal_node(const Node *n, int signal);
bool strangers(void);
extern uint64_t strangers_next;
uint64_t start_time(pid_t pid);
// The kernel's letter for what a process does, 0 when there is none.
char process_state(pid_t pid);

// tag.c
extern uint64_t tag_base, tag_mask;
void tag_prepare(void);
void tag_set(uint32_t id);
uint32_t tag_read(pid_t pid);
bool tagged(pid_t pid);

// heir.c
extern pid_t heir_pid;
void heir_prepare(void);
void heir_dismiss(void);

// stop.c
extern uint64_t jobs_next;
void stop(uint32_t request, uint32_t target, int signal, uint64_t grace, bool spare_lingering);
void run_jobs(void);
void hurry_jobs(void);
void tidy(void);
bool being_stopped(uint32_t origin);
extern bool ended_all;      // nothing is left below and nothing will be started
void send_signal(Proc *p, int signal, bool tree);
void told_to_end(Proc *p, int signal);

// oom.c
void oom_refresh(void);
bool oom_struck(void);
extern uint64_t oom_at;

// ports.c
void hold(uint32_t id, Reader *r);
void release(uint32_t id);

// connect.c
void stand(void);
int connect_unix(const char *path);
bool write_all(int fd, const void *data, size_t length);

// shim.c
void end_as(int number);

int serve(int argc, char **argv);
int attach(int argc, char **argv);
int shim(const char *self, int argc, char **argv);
int rank(const char *self, int argc, char **argv);
int ranks(int argc, char **argv);
int copy(int argc, char **argv);
#endif
