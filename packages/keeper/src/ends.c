// Takes the ends of processes: what each wrote first, then how it ended and whether by our order.
#include "keeper.h"
#include <signal.h>
#include <sys/wait.h>

static void ended(Proc *p, int status, uint64_t at) {
  p->reaped = true;
  bool killed = WIFSIGNALED(status);
  int value = killed ? WTERMSIG(status) : WEXITSTATUS(status);
  bool ours = p->asked_to_end || (killed && (p->signals_sent[value / 32] >> value % 32 & 1));
  bool oom = killed && value == SIGKILL && !ours && oom_struck();
  shut(&p->in_fd);
  pump_stdin(p);
  drain(p);
  event_begin(E_EXITED, p->id);
  event_u64(at);
  event_u8(killed);
  event_u8((uint8_t)value);
  event_u8((uint8_t)(ours | oom << 1));
  event_u64(p->out[0].skipped + p->out[1].skipped);
  event_end();
  p->out[0].skipped = p->out[1].skipped = 0;
  if (p->out[0].fd < 0 && p->out[1].fd < 0) close_output(p);
  strangers_next = 0;
  hurry_jobs();
}

// Takes every end that there is: of those that the owner asked for, and of orphans.
void reap(void) {
  for (;;) {
    siginfo_t info = {0};
    // Looked at first: the pipe that tells of exec must be read before the pid is free again.
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    uint64_t at = now_ns();
    Proc *p = proc_by_pid(info.si_pid);
    if (p && p->exec_fd >= 0) {
      exec_told(p);
      if (!(p = proc_by_pid(info.si_pid))) continue;
    }
    int status;
    if (waitpid(info.si_pid, &status, WNOHANG) <= 0) continue;
    if (info.si_pid == heir_pid) heir_pid = 0;
    if (p) ended(p, status, at);
    else hurry_jobs();
  }
}
