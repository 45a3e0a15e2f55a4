// `attach`: becomes a command whose three streams are connections to the agent's socket, so that nothing of them is
// lost and a slow reader slows it down; or, with --terminal, runs it on a terminal of its own and carries that.
#include "keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define UNUSABLE 126

static int dial(const char *path, const char *token, char what) {
  int fd = connect_unix(path);
  char line[128];
  int length = snprintf(line, sizeof line, "%s %c\n", token, what);
  if (fd < 0 || length >= (int)sizeof line || !write_all(fd, line, (size_t)length)) {
    fprintf(stderr, "gangflow-keeper attach: %s: %s\n", path, strerror(errno));
    exit(UNUSABLE);
  }
  return fd;
}

static _Noreturn void execute(char **argv) {
  execvp(argv[0], argv);
  int error = errno;
  fprintf(stderr, "gangflow: %s: %s\n", argv[0], strerror(error));
  exit(error == ENOENT ? 127 : UNUSABLE);
}

static int open_terminal(struct winsize size, char **argv, pid_t *child) {
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  char name[64];
  if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, sizeof name) != 0) return -1;
  ioctl(master, TIOCSWINSZ, &size);
  // Opened here too, so that the other end is never without a holder while the command starts.
  int held = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (held < 0) return -1;
  *child = fork();
  if (*child < 0) return -1;
  if (*child == 0) {
    setsid();
    int slave = open(name, O_RDWR);
    if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0 || dup2(slave, 0) < 0 || dup2(slave, 1) < 0 || dup2(slave, 2) < 0)
      _exit(UNUSABLE);
    if (slave > 2) close(slave);
    execute(argv);
  }
  close(held);
  return master;
}

// Bytes of one direction that wait for room.
typedef struct {
  uint8_t data[1 << 14];
  size_t from, to;
} Lane;

static bool empty(const Lane *lane) { return lane->from == lane->to; }

// False at the end of what is read.
static bool fill(Lane *lane, int fd) {
  ssize_t n = read(fd, lane->data, sizeof lane->data);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  lane->from = 0, lane->to = (size_t)n;
  return n > 0;
}

static bool drain_to(Lane *lane, int fd) {
  ssize_t n = write(fd, lane->data + lane->from, lane->to - lane->from);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  lane->from += (size_t)n;
  return true;
}

// The end of what is typed, as a person would type it.
static void end_input(Lane *lane, int master) {
  struct termios modes;
  if (tcgetattr(master, &modes) < 0 || !(modes.c_lflag & ICANON)) return;
  lane->from = 0, lane->to = 1, lane->data[0] = modes.c_cc[VEOF];
}

static void resize(int control, int master) {
  uint8_t told[4];
  if (recv(control, told, sizeof told, MSG_WAITALL) != sizeof told) return;
  struct winsize size = {.ws_col = (uint16_t)(told[0] << 8 | told[1]), .ws_row = (uint16_t)(told[2] << 8 | told[3])};
  ioctl(master, TIOCSWINSZ, &size);
}

static void carry(int master, int data, int control) {
  Lane in = {0}, out = {0};
  bool typing = true;
  fcntl(data, F_SETFL, O_NONBLOCK);
  fcntl(master, F_SETFL, O_NONBLOCK);
  for (;;) {
    struct pollfd fds[] = {
      {.fd = master, .events = (short)((empty(&out) ? POLLIN : 0) | (empty(&in) ? 0 : POLLOUT))},
      {.fd = data, .events = (short)((typing && empty(&in) ? POLLIN : 0) | (empty(&out) ? 0 : POLLOUT))},
      {.fd = control, .events = POLLIN},
    };
    if (poll(fds, 3, -1) < 0) continue;
    if (fds[2].revents & POLLIN) resize(control, master);
    if (fds[2].revents & (POLLHUP | POLLERR)) return;  // the agent has closed both: nobody looks any more
    if (!empty(&out) && (fds[1].revents & (POLLOUT | POLLERR | POLLHUP)) && !drain_to(&out, data)) return;
    if (!empty(&in) && (fds[0].revents & POLLOUT) && !drain_to(&in, master)) return;
    if (typing && empty(&in) && (fds[1].revents & (POLLIN | POLLHUP)) && !fill(&in, data)) {
      typing = false;
      end_input(&in, master);
    }
    // EIO: nobody has the terminal open any more.
    if (empty(&out) && (fds[0].revents & (POLLIN | POLLHUP)) && !fill(&out, master)) return;
  }
}

static int on_terminal(const char *path, const char *token, struct winsize size, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  int data = dial(path, token, 'p'), control = dial(path, token, 'c');
  pid_t child;
  int master = open_terminal(size, argv, &child);
  if (master < 0) {
    dprintf(data, "gangflow: no terminal can be opened (%s)\r\n", strerror(errno));
    return UNUSABLE;
  }
  carry(master, data, control);
  close(master);  // hangs up what is left on it
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return UNUSABLE;
  end_as(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return WEXITSTATUS(status);
}

// attach [--terminal=COLUMNSxROWS] SOCKET TOKEN COMMAND…
int attach(int argc, char **argv) {
  struct winsize size = {0};
  stand();
  bool terminal = argc > 0 && sscanf(argv[0], "--terminal=%hux%hu", &size.ws_col, &size.ws_row) == 2;
  if (terminal) argc--, argv++;
  if (argc < 3) return fputs("usage: gangflow-keeper attach [--terminal=COLSxROWS] SOCKET TOKEN COMMAND...\n", stderr), 64;
  if (terminal) return on_terminal(argv[0], argv[1], size, argv + 2);
  for (int fd = 2; fd >= 0; fd--) {
    int stream = dial(argv[0], argv[1], (char)('0' + fd));
    if (dup2(stream, fd) < 0) return UNUSABLE;
    close(stream);
  }
  execute(argv + 2);
}
