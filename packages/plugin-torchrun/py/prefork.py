"""The prefork parent of one member: `prefork.py DIR`. Imports torch once, then forks ranks on demand.

Listens as DIR/prefork.sock. A relay sends its three standard descriptors with a length, then that many bytes of
JSON (python, argv, env, cwd); the answer is a line `{"pid": n}` or `{"refused": why}`, and at the rank's end
`{"code": n}` or `{"signal": n}`. When the relay goes, its rank is killed. The parent itself must stay without
threads and without CUDA, or it refuses.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Read when Python, the C library, or torch and its libraries start: a rank that needs another value is not forked.
START_PREFIXES = (
    "PYTHON", "LD_", "DYLD_", "GLIBC_", "MALLOC_", "LC_", "LANG", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_",
    "BLIS_", "VECLIB_", "NUMEXPR_", "DNNL_", "ONEDNN_", "TORCH", "PYTORCH_", "ATEN_", "TRITON_", "CUDA_MODULE_LOADING",
    "CUBLAS_", "NPY_", "XDG_", "VIRTUAL_ENV", "CONDA_",
)  # fmt: skip
NOT_START = ("TORCHELASTIC_", "TORCH_NCCL_")


def read_at_start(name):
    return name.startswith(START_PREFIXES) and not name.startswith(NOT_START)


class Job:
    """What a forked child is to run."""

    def __init__(self, request, conn, fds):
        self.request = request
        self.conn = conn
        self.fds = fds


class Parent:
    def __init__(self, directory):
        import socket

        self.start_env = {name: value for name, value in os.environ.items() if read_at_start(name)}
        self.cwd = os.getcwd()
        self.python = [sys.executable]
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.chdir(directory)
        # Named only when it listens, so that nobody is refused; requests wait while torch is imported.
        self.listener.bind("prefork.part")
        os.chmod("prefork.part", 0o600)
        self.listener.listen(128)
        os.rename("prefork.part", "prefork.sock")
        os.chdir(self.cwd)
        self.ranks = {}
        self.leaving = False

    def load(self):
        """Imports what every rank would import; the reason why no fork is safe, or None."""
        import gc

        # What lives now lives on: a search for garbage meanwhile is in vain.
        gc.disable()
        try:
            import torch
            import torch.distributed  # noqa: F401
        except Exception as error:
            return "torch cannot be imported (%s: %s)" % (type(error).__name__, error)
        finally:
            # For the ranks too, whose own collections and whose end would else copy every page of it.
            gc.freeze()
            gc.enable()
        return self.unsafe() or self.probe()

    def unsafe(self):
        import threading

        torch = sys.modules["torch"]
        if threading.active_count() > 1:
            return "importing torch started a Python thread"
        if torch.cuda.is_initialized():
            return "importing torch started CUDA"
        return None

    def probe(self):
        """Libraries with threads of their own (OpenBLAS) must survive a fork: a child tries."""
        try:
            if len(os.listdir("/proc/self/task")) == 1:
                return None
        except OSError:
            return None
        import time

        pid = os.fork()
        if pid == 0:
            try:
                import torch

                a = torch.ones(96, 96)
                good = float((a @ a)[0, 0]) == 96.0
                if "numpy" in sys.modules:
                    b = a.numpy()
                    good = good and float((b @ b)[0, 0]) == 96.0
                os._exit(0 if good else 1)
            finally:
                os._exit(1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return None if status == 0 else "a library's threads do not survive a fork"
            time.sleep(0.005)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return "a library's threads hang after a fork"

    def serve(self, refusal):
        """Forks a rank for each request; returns only in a child, with its job."""
        import select
        import signal

        wake, waker = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self.leave)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        while True:
            watched = [self.listener, wake, *(entry for entry in self.ranks.values())]
            ready, _, _ = select.select(watched, [], [])
            if wake in ready:
                os.read(wake, 4096)
                self.reap()
                if self.leaving and not self.ranks:
                    os._exit(0)
            for conn in ready:
                if conn in self.ranks.values():
                    self.relay_spoke(conn)
            if self.listener in ready:
                conn, _ = self.listener.accept()
                job = self.accept(conn, refusal)
                if job is not None:
                    signal.set_wakeup_fd(-1)
                    os.close(wake)
                    os.close(waker)
                    self.listener.close()
                    for other in self.ranks.values():
                        other.close()
                    return job

    def leave(self, number, frame):
        """Asked to end: once its ranks have, who are asked by their relays."""
        self.leaving = True

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            conn = self.ranks.pop(pid, None)
            if conn is None:
                continue
            if os.WIFSIGNALED(status):
                answer(conn, signal=os.WTERMSIG(status))
            else:
                answer(conn, code=os.WEXITSTATUS(status))
            conn.close()

    def relay_spoke(self, conn):
        """A relay says nothing after its request: this is its end, and so its rank's."""
        pid = next(pid for pid, other in self.ranks.items() if other is conn)
        try:
            if conn.recv(1):
                return
        except OSError:
            pass
        try:
            os.killpg(pid, 9)
        except ProcessLookupError:
            pass
        self.ranks.pop(pid)
        conn.close()

    def accept(self, conn, refusal):
        conn.settimeout(10)
        try:
            request, fds = receive(conn)
        except (OSError, ValueError, IndexError):
            conn.close()
            return None
        conn.settimeout(None)
        why = refusal or (self.leaving and "the prefork parent is ending") or self.unsafe() or self.mismatch(request)
        if why:
            answer(conn, refused=why)
            conn.close()
            for fd in fds:
                os.close(fd)
            return None
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            conn.close()
            die_with(parent)
            return Job(request, conn, fds)
        for fd in fds:
            os.close(fd)
        self.ranks[pid] = conn
        answer(conn, pid=pid)
        return None

    def mismatch(self, request):
        if request["python"][1:] != python_options():
            return "its Python options are %r" % (request["python"][1:],)
        env = {name: value for name, value in request["env"].items() if read_at_start(name)}
        names = sorted(n for n in env.keys() | self.start_env.keys() if env.get(n) != self.start_env.get(n))
        if names:
            return "its %s differs, which is read at start" % ", ".join(names)
        relative = [e for e in env.get("PYTHONPATH", "").split(os.pathsep) if e and not os.path.isabs(e)]
        if relative and request["cwd"] != self.cwd:
            return "PYTHONPATH has relative entries and its working directory differs"
        return None


def python_options():
    """The options before the script on this process's own command line."""
    original = getattr(sys, "orig_argv", None) or [sys.executable, "-u", *sys.argv]
    return original[1 : len(original) - len(sys.argv)]


def receive(conn):
    """A request and its descriptors."""
    import array
    import json
    import socket

    fds = array.array("i")
    data, ancillary, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(3 * fds.itemsize))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    while b"\n" not in data:
        data += conn.recv(64) or fail("no length")
    length, data = data.split(b"\n", 1)
    chunks, have = [data], len(data)
    while have < int(length):
        chunk = conn.recv(1 << 20) or fail("the request is cut off")
        chunks.append(chunk)
        have += len(chunk)
    if len(fds) != 3:
        fail("three descriptors belong to a request")
    return json.loads(b"".join(chunks)), list(fds)


def fail(why):
    raise ValueError(why)


def answer(conn, **message):
    import json

    try:
        conn.sendall(json.dumps(message).encode("ascii") + b"\n")
    except OSError:
        pass


def die_with(parent):
    """The rank never outlives its parent, whoever kills that."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)
    except Exception:
        return
    if os.getppid() != parent:
        os._exit(1)


def become_rank(request, fds):
    """From fork to the state in which a fresh Python would reach the script's first line."""
    import signal
    import time

    os.setsid()
    for target, fd in enumerate(fds):
        os.dup2(fd, target, inheritable=True)
        os.close(fd)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["cwd"])
    for name in list(os.environ):
        if name not in request["env"]:
            del os.environ[name]
    os.environ.update(request["env"])
    time.tzset()
    if "numpy.random" in sys.modules:
        sys.modules["numpy"].random.seed()
    sys.path.insert(0, os.path.join(HERE, "hook"))
    import _gangflow_rank

    sys.path.pop(0)
    config = _gangflow_rank.take_config(os.environ)
    _gangflow_rank.install(config or {})
    del sys.modules["_gangflow_rank"]
    warn_of_late_settings()


def warn_of_late_settings():
    """A script that sets OMP_NUM_THREADS before its own `import torch` comes too late here: say so, once."""
    said = set()

    def audit(event, details):
        if event == "os.putenv" and os.getpid() == owner:
            name = os.fsdecode(details[0])
            if name not in said and read_at_start(name):
                said.add(name)
                sys.stderr.write(
                    "[gangflow] the script sets %s, but launcher 'prefork' imported torch before: give it in `env`, "
                    "or use launcher 'direct'\n" % name
                )

    owner = os.getpid()
    sys.addaudithook(audit)


def run(argv):
    """`python ARGV…` from here on: the script, or `-m module`, as `__main__`."""
    import types

    main = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    main.__annotations__ = {}
    sys.modules["__main__"] = main
    if argv[0] == "-m":
        import runpy

        sys.argv = list(argv[1:])
        set_first_path(os.getcwd())
        runpy._run_module_as_main(argv[1])
        return
    script = argv[0]
    sys.argv = list(argv)
    if os.path.isdir(script) or is_archive(script):
        import runpy

        set_first_path(os.path.abspath(script))
        runpy._run_module_as_main("__main__", False)
        return
    from importlib.machinery import SourceFileLoader

    path = os.path.abspath(script)
    set_first_path(os.path.dirname(os.path.realpath(path)))
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write("%s: can't open file %r: [Errno %d] %s\n" % (sys.executable, path, error.errno, error.strerror))
        sys.exit(2)
    main.__file__ = path
    main.__loader__ = SourceFileLoader("__main__", path)
    main.__cached__ = None
    exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)


def is_archive(path):
    import zipfile

    return not path.endswith(".py") and os.path.isfile(path) and zipfile.is_zipfile(path)


def set_first_path(first):
    """In place of this file's folder, which Python put first."""
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = first


def own_frames_removed(trace):
    import runpy

    ours = (os.path.abspath(__file__), __file__, runpy.__file__, "<frozen runpy>")
    while trace is not None and trace.tb_frame.f_code.co_filename in ours:
        trace = trace.tb_next
    return trace


def main():
    parent = Parent(sys.argv[1])
    job = parent.serve(parent.load())
    request = job.request
    become_rank(request, job.fds)
    argv = request["argv"]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = request["python"] + argv
    try:
        run(argv)
    except Exception as error:
        trace = own_frames_removed(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(1)
    except KeyboardInterrupt as error:
        trace = own_frames_removed(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        # Told already; raised again it ends the process by SIGINT, as it does any Python.
        sys.excepthook = lambda *told: None
        raise


if __name__ == "__main__":
    main()
