// `ranks`: a member's end of an MPI call. It makes the call's folder, which has one path on all hosts, waits there for the
// wrappers of the member's ranks (rank.c), prints what they tell, and at its end ends what is left of them and removes all.
// What it prints: docs/reference/keeper.md.
#include "keeper.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ENDING (2 * SECOND)  // that the wrappers have to end their ranks
typedef struct {
  int fd;
  long rank;
  bool known, over;
  char line[5000];
  size_t have;
} Wrapper;

static Wrapper **wrappers;
static size_t count;
static struct {
  const char *folder, *shared, *cwd, *program, *script, *daemon;
  char socket[108], resolved[4096];
  char *reply;
  size_t reply_length;
} call;

static _Noreturn void quit(const char *what) {
  fprintf(stderr, "gangflow: %s: %s\n", what, strerror(errno));
  exit(70);
}

// A folder of ours that nobody else can enter.
static void own_folder(const char *path) {
  struct stat about;
  if (mkdir(path, 0700) == 0) return;
  if (errno != EEXIST || lstat(path, &about) < 0) quit(path);
  if (!S_ISDIR(about.st_mode) || about.st_uid != geteuid() || about.st_mode & 077) errno = EPERM, quit(path);
}

static void link_to(const char *name, const char *target) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", call.folder, name);
  if (symlink(target, path) < 0 && errno != EEXIST) quit(path);
}

static void prepare(void) {
  char path[PATH_MAX], self[PATH_MAX];
  own_folder(call.folder);
  static const char *below[] = {"bin", "tmp"};
  for (int i = 0; i < 2; i++) snprintf(path, sizeof path, "%s/%s", call.folder, below[i]), own_folder(path);
  if (*call.shared && access("/dev/shm", W_OK) == 0) own_folder(call.shared);
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length < 0) quit("/proc/self/exe");
  self[length] = 0;
  link_to("bin/rank", self);
  link_to("bin/shim", self);
  const char *shim = getenv("GANGFLOW_SHIM_SOCKET");
  if (shim) link_to("shim.sock", shim);
}

static bool runs(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISREG(about.st_mode) && access(path, X_OK) == 0;
}

static bool at(const char *format, const char *folder, const char *name) {
  return snprintf(call.resolved, sizeof call.resolved, format, folder, name) < (int)sizeof call.resolved && runs(call.resolved);
}

// `python` is the interpreter of the member: GANGFLOW_PYTHON, the active environment's, the nearest .venv's.
static bool find_python(void) {
  const char *named = getenv("GANGFLOW_PYTHON"), *active = getenv("VIRTUAL_ENV");
  if (named && *named && !strchr(named, '/')) call.program = named;
  if (named && strchr(named, '/')) return at("%s%s", named, "");
  if (active && at("%s/%s", active, "bin/python")) return true;
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", call.cwd);
  for (;;) {
    if (at("%s/%s", folder, ".venv/bin/python")) return true;
    char *slash = strrchr(folder, '/');
    if (!slash) return false;
    *slash = 0;
  }
}

// Where the program is; the wrapper is told of it only where that is not what its own PATH says.
static bool find_program(bool *chosen) {
  *chosen = false;
  if (strcmp(call.program, "python") == 0 || strcmp(call.program, "python3") == 0)
    if (find_python()) return *chosen = true;
  if (strchr(call.program, '/')) return at(call.program[0] == '/' ? "%.0s%s" : "%s/%s", call.cwd, call.program);
  const char *path = getenv("PATH");
  for (const char *from = path ? path : "/usr/local/bin:/usr/bin:/bin";; ) {
    const char *end = strchrnul(from, ':');
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(end - from), from);
    if (at("%s/%s", *folder ? folder : call.cwd, call.program)) return true;
    if (*end == 0) return false;
    from = end + 1;
  }
}

// The answer to each wrapper: folder, program or nothing, and the variables that came on standard input.
static void make_reply(void) {
  size_t room = 1 << 16, length = 0;
  char *env = need(malloc(room + 1));
  for (ssize_t n; (n = read(0, env + length, room - length)) != 0;) {
    if (n < 0 && errno != EINTR) quit("standard input");
    if (n > 0) length += (size_t)n;
    if (length == room) env = need(realloc(env, (room *= 2) + 1));
  }
  if (length > 0 && env[length - 1] != 0) env[length++] = 0;
  // What the call sets counts for the search too, such as PATH.
  for (char *entry = env; entry < env + length; entry += strlen(entry) + 1) putenv(entry);
  bool chosen, found = find_program(&chosen);
  struct stat about;
  bool folder = stat(call.cwd, &about) == 0 && S_ISDIR(about.st_mode);
  cpu_set_t *cores = CPU_ALLOC(4096);
  int free_cores = sched_getaffinity(0, CPU_ALLOC_SIZE(4096), cores) == 0 ? CPU_COUNT_S(CPU_ALLOC_SIZE(4096), cores) : 1;
  bool fabric = false;
  DIR *cards = opendir("/sys/class/infiniband");
  for (struct dirent *card; cards && (card = readdir(cards));) fabric = fabric || card->d_name[0] != '.';
  if (cards) closedir(cards);
  fabric = fabric || access("/sys/class/cxi", F_OK) == 0;
  char script[PATH_MAX];
  snprintf(script, sizeof script, "%s%s%s", call.script[0] == '/' ? "" : call.cwd, call.script[0] == '/' ? "" : "/", call.script);
  printf("ready cores=%d fabric=%d cwd=%d script=%d daemon=%d program=%s\n", free_cores, fabric, folder,
         !*call.script || access(script, R_OK) == 0, runs(call.daemon), found ? call.resolved : "");
  if (!chosen) call.resolved[0] = 0;
  size_t whole = strlen(call.cwd) + 1 + strlen(call.resolved) + 1 + length;
  call.reply = need(malloc(4 + whole));
  call.reply[0] = (char)(whole >> 24), call.reply[1] = (char)(whole >> 16), call.reply[2] = (char)(whole >> 8), call.reply[3] = (char)whole;
  char *next = stpcpy(call.reply + 4, call.cwd) + 1;
  next = stpcpy(next, call.resolved) + 1;
  memcpy(next, env, length);
  call.reply_length = 4 + whole;
}

static int await_wrappers(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (snprintf(call.socket, sizeof call.socket, "%s/%s.sock", call.folder, name) >= (int)sizeof call.socket) errno = ENAMETOOLONG, quit(call.folder);
  strcpy(address.sun_path, call.socket);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0) quit(call.socket);
  return fd;
}

static void hear(Wrapper *w, char *line) {
  long size, local, pid;
  unsigned long long at;
  if (!w->known) {
    if (sscanf(line, "hello %ld %ld %ld %ld %llu", &w->rank, &size, &local, &pid, &at) != 5) return;
    w->known = true;
    printf("hello %ld %ld %ld %ld %llu\n", w->rank, size, local, pid, at);
    fcntl(w->fd, F_SETFL, 0);
    write_all(w->fd, call.reply, call.reply_length);
    fcntl(w->fd, F_SETFL, O_NONBLOCK);
    return;
  }
  char *rest = strchr(line, ' ');
  if (!rest) return;
  *rest++ = 0;
  w->over = w->over || strcmp(line, "end") == 0;
  printf("%s %ld %s\n", line, w->rank, rest);
}

// False when the wrapper has gone.
static bool listen_to(Wrapper *w) {
  ssize_t n = read(w->fd, w->line + w->have, sizeof w->line - 1 - w->have);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  w->have += (size_t)n;
  char *from = w->line;
  for (char *end; (end = memchr(from, '\n', w->have - (size_t)(from - w->line))); from = end + 1) {
    *end = 0;
    hear(w, from);
  }
  w->have -= (size_t)(from - w->line);
  memmove(w->line, from, w->have);
  if (w->have == sizeof w->line - 1) w->have = 0;
  return n > 0;
}

static void forget_wrapper(size_t i) {
  Wrapper *w = wrappers[i];
  if (w->known && !w->over) printf("gone %ld\n", w->rank);
  close(w->fd);
  free(w);
  wrappers[i] = wrappers[--count];
}

// Serves until told to end; then until all wrappers have gone, or their time is over.
static void serve_wrappers(int door, int told) {
  uint64_t until = 0;
  while (!until || (count > 0 && now_ns() < until)) {
    struct pollfd *fds = need(calloc(count + 2, sizeof *fds));
    fds[0] = (struct pollfd){.fd = until ? -1 : door, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = until ? -1 : told, .events = POLLIN};
    for (size_t i = 0; i < count; i++) fds[2 + i] = (struct pollfd){.fd = wrappers[i]->fd, .events = POLLIN};
    fflush(stdout);
    int n = poll(fds, count + 2, until ? 20 : -1);
    for (size_t i = count; n > 0 && i-- > 0;)
      if (fds[2 + i].revents && !listen_to(wrappers[i])) forget_wrapper(i);
    if (n > 0 && fds[0].revents) {
      for (int fd; (fd = accept4(door, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
        wrappers = need(realloc(wrappers, (count + 1) * sizeof *wrappers));
        wrappers[count] = need(calloc(1, sizeof **wrappers));
        wrappers[count++]->fd = fd;
      }
    }
    if (n > 0 && fds[1].revents) {
      until = now_ns() + ENDING;
      close(door);
      unlink(call.socket);
      for (size_t i = 0; i < count; i++) shutdown(wrappers[i]->fd, SHUT_WR);
    }
    free(fds);
  }
  fflush(stdout);
}

static bool file_has(pid_t pid, const char *file, const char *text, bool whole) {
  char path[64];
  static char data[1 << 22];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t have = 0;
  for (ssize_t n; have < sizeof data && (n = read(fd, data + have, sizeof data - have)) > 0;) have += (size_t)n;
  close(fd);
  size_t length = strlen(text) + (whole ? 1 : 0);
  return memmem(data, have, text, length) != NULL;
}

// A rank, what it started, or a daemon of the launcher: by the variable that ranks have, by the wrapper's name, or by the
// folder in a daemon's command line. Of this user, and never of another call: the folder's name is drawn for the call.
static bool is_ours(pid_t pid) {
  char mark[PATH_MAX], wrapper[PATH_MAX], path[64], name[32] = "";
  snprintf(mark, sizeof mark, "GANGFLOW_MPI=%s", call.folder);
  if (file_has(pid, "environ", mark, true)) return true;
  snprintf(wrapper, sizeof wrapper, "%s/bin/rank", call.folder);
  snprintf(path, sizeof path, "/proc/%d/comm", pid);
  FILE *comm = fopen(path, "re");
  if (comm) {
    if (!fgets(name, sizeof name, comm)) name[0] = 0;
    fclose(comm);
  }
  name[strcspn(name, "\n")] = 0;
  static const char *daemons[] = {"rank", "shim", "orted", "prted", "hydra_pmi_proxy", "hydra_bstrap_proxy", "mpirun", "mpiexec", "prterun", "orterun", "mpiexec.hydra"};
  for (size_t i = 0; i < sizeof daemons / sizeof *daemons; i++)
    if (strncmp(name, daemons[i], 15) == 0) return file_has(pid, "cmdline", call.folder, false);
  return false;
}

static void reap_rest(void) {
  for (int round = 0; round < 3; round++) {
    bool any = false;
    DIR *all = opendir("/proc");
    for (struct dirent *one; all && (one = readdir(all));) {
      pid_t pid = (pid_t)strtol(one->d_name, NULL, 10);
      char state;
      if (pid <= 0 || pid == getpid() || (state = process_state(pid)) == 0 || state == 'Z' || !is_ours(pid)) continue;
      any = any || kill(pid, SIGKILL) == 0;
    }
    if (all) closedir(all);
    if (!any) return;
    usleep(20000);
  }
}

// Whether some process has the file mapped, or is a proxy of another job that may have made it.
static bool in_use(const char *path, bool of_proxy) {
  bool found = false;
  DIR *all = opendir("/proc");
  for (struct dirent *one; !found && all && (one = readdir(all));) {
    pid_t pid = (pid_t)strtol(one->d_name, NULL, 10);
    char state = pid > 0 ? process_state(pid) : 0;
    if (state == 0 || state == 'Z') continue;
    found = of_proxy ? file_has(pid, "comm", "hydra_pmi_proxy", false) : file_has(pid, "maps", path, false);
  }
  if (all) closedir(all);
  return found;
}

// What MPI libraries leave in places of their own when they are killed: made since this call began, and used by nobody.
static void sweep(time_t since) {
  static const struct { const char *folder, *prefix; bool of_proxy; } known[] = {
    {"/dev/shm", "mpich_sh", false}, {"/dev/shm", "sm_segment.", false}, {"/dev/shm", "vader_segment.", false},
    {"/dev/shm", "ucx_shm_posix_", false}, {"/dev/shm", "Intel_MPI_", false}, {"/tmp", "hydra_hwloc_xmlfile_", true}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    DIR *all = opendir(known[i].folder);
    for (struct dirent *one; all && (one = readdir(all));) {
      char path[PATH_MAX];
      struct stat about;
      if (strncmp(one->d_name, known[i].prefix, strlen(known[i].prefix)) != 0) continue;
      snprintf(path, sizeof path, "%s/%s", known[i].folder, one->d_name);
      if (lstat(path, &about) < 0 || about.st_uid != geteuid() || about.st_mtime < since) continue;
      if (!in_use(path, known[i].of_proxy)) unlink(path);
    }
    if (all) closedir(all);
  }
}

static void remove_all(int at_fd, const char *name) {
  int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) {
    DIR *all = fdopendir(fd);
    for (struct dirent *one; all && (one = readdir(all));)
      if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0) remove_all(fd, one->d_name);
    if (all) closedir(all);
    unlinkat(at_fd, name, AT_REMOVEDIR);
  } else unlinkat(at_fd, name, 0);
}

// ranks FOLDER SHARED NODE.FIRST CWD PROGRAM SCRIPT DAEMON
int ranks(int argc, char **argv) {
  stand();
  if (argc != 7) return fputs("usage: gangflow-keeper ranks FOLDER SHARED NODE.FIRST CWD PROGRAM SCRIPT DAEMON\n", stderr), 64;
  call.folder = argv[0], call.shared = argv[1], call.cwd = argv[3], call.program = argv[4], call.script = argv[5], call.daemon = argv[6];
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM), sigaddset(&set, SIGINT), sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, NULL);
  int told = signalfd(-1, &set, SFD_CLOEXEC);
  signal(SIGPIPE, SIG_IGN);
  time_t since = time(NULL);
  umask(077);
  prepare();
  int door = await_wrappers(argv[2]);
  make_reply();
  serve_wrappers(door, told);
  reap_rest();
  sweep(since);
  remove_all(AT_FDCWD, call.folder);
  if (*call.shared) remove_all(AT_FDCWD, call.shared);
  puts("done");
  return 0;
}
