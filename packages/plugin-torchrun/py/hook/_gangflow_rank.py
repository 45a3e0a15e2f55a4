"""What gangflow adds to a rank: its error file, fault handler, process-group timeout, own output, and a faster import.

Installed before the script's first line, in the rank's own process only: what the rank starts itself
(data loader workers, subprocesses) never sees it. Must stay cheap and must never break a script.
"""

import os
import sys

CONFIG = "GANGFLOW_TORCH_RANK"


def take_config(environ):
    """The rank's configuration, removed from the environment together with the hook's place on PYTHONPATH."""
    text = environ.pop(CONFIG, None)
    here = os.path.dirname(os.path.abspath(__file__))
    path = environ.get("PYTHONPATH")
    if path is not None:
        rest = [entry for entry in path.split(os.pathsep) if entry != here]
        if rest:
            environ["PYTHONPATH"] = os.pathsep.join(rest)
        else:
            del environ["PYTHONPATH"]
    if not text:
        return None
    config = {}
    for line in text.split("\n"):
        key, _, value = line.partition("=")
        config[key] = value
    return config


def install(config):
    try:
        _write_errors()
        _report_faults()
        _await_gloo_at_exit()
        import_torch_faster()
        if config.get("timeout"):
            _limit_process_groups(float(config["timeout"]))
    except Exception as error:
        sys.stderr.write("[gangflow] the rank's hook failed: %r\n" % (error,))


def own_output(directory, name):
    """Makes the output of this process that of the relay which listens as `name` in `directory`."""
    import _socket
    import array

    back = os.open(".", os.O_RDONLY)
    try:
        os.chdir(directory)
        peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        peer.connect(name)
    except OSError:
        return
    finally:
        os.fchdir(back)
        os.close(back)
    fds = array.array("i")
    _, ancillary, _, _ = peer.recvmsg(1, _socket.CMSG_SPACE(2 * fds.itemsize))
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    if len(fds) == 2:
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
    for fd in fds:
        os.close(fd)
    # Left open and unread: the relay sees its end when this process and its forks have ended.
    sys._gangflow_relay = peer


def own_error_file(directory):
    """Below a launcher that names none, unlike torchrun."""
    path = os.path.join(directory, "rank%s.error.json" % os.environ.get("RANK", "0"))
    os.environ.setdefault("TORCHELASTIC_ERROR_FILE", path)


def own_directory(output):
    """Below a launcher, which gives all ranks of a node one environment."""
    path = os.path.join(output, "rank" + os.environ.get("RANK", "0"))
    os.makedirs(path, exist_ok=True)
    os.environ["GANGFLOW_OUTPUT_DIR"] = path


def write_error_file(kind, value, trace):
    """As torch.distributed.elastic writes it, so that either may have been first."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    import json
    import time
    import traceback

    data = {
        "message": {
            "message": "%s: %s" % (kind.__name__, value),
            "extraInfo": {
                "py_callstack": "".join(traceback.format_exception(kind, value, trace)),
                "timestamp": str(int(time.time())),
            },
        }
    }
    with open(path + ".part", "w") as file:
        json.dump(data, file)
    os.replace(path + ".part", path)


def _write_errors():
    owner = os.getpid()
    before = sys.excepthook

    def excepthook(kind, value, trace):
        try:
            # An import here would make Python end with 1 instead of SIGINT; and an interrupt is no error.
            if os.getpid() == owner and not issubclass(kind, KeyboardInterrupt):
                write_error_file(kind, value, trace)
        except Exception:
            pass
        before(kind, value, trace)

    sys.excepthook = excepthook


def _report_faults():
    import faulthandler

    if not faulthandler.is_enabled():
        faulthandler.enable(all_threads=True)


def _await_gloo_at_exit():
    """Lets gloo's threads come to rest before Python is torn down, for a second at most.

    A collective is done for its caller before its thread has let go of the tensors. Preempted in between, the thread
    asks for the GIL of a Python that is gone, which before Python 3.14 ends the process with SIGABRT.
    """
    import atexit

    # Registered first, so that it runs last, when the script's own handlers have used the process group.
    atexit.register(_await_threads, "pt_gloo_runloop", 1.0)


def _await_threads(name, seconds):
    import time

    deadline = time.monotonic() + seconds
    while _runnable(name) and time.monotonic() < deadline:
        time.sleep(0.001)


def _runnable(name):
    """Whether any thread of that name has work: it runs, or would if it had a core."""
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return False
    for thread in threads:
        try:
            with open("/proc/self/task/%s/stat" % thread) as file:
                head, _, rest = file.read().rpartition(")")
        except OSError:
            continue
        if head.endswith("(" + name) and rest.split(None, 1)[0] == "R":
            return True
    return False


def import_torch_faster():
    """No search for garbage while `import torch` makes 180,000 objects that stay: a tenth of its time."""
    if "torch" not in sys.modules:
        around_import("torch", _without_gc)


def _without_gc(run, module):
    import gc

    if not gc.isenabled():
        return run(module)
    gc.disable()
    try:
        run(module)
    finally:
        # Both together only make all of it old, as many collections would have.
        if gc.get_freeze_count() == 0:
            gc.freeze()
            gc.unfreeze()
        gc.enable()


def around_import(name, wrapper):
    """Has `wrapper(run, module)` run a module's code, whenever that is imported."""

    class Finder:
        @staticmethod
        def find_spec(fullname, path=None, target=None):
            if fullname != name:
                return None
            spec = sys.modules["_frozen_importlib_external"].PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                run = spec.loader.exec_module

                # Only now: many a library asks find_spec whether there is torch, and imports it later.
                def exec_module(module):
                    if Finder in sys.meta_path:
                        sys.meta_path.remove(Finder)
                    wrapper(run, module)

                spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, Finder)


def _limit_process_groups(seconds):
    name = "torch.distributed.distributed_c10d"
    loaded = sys.modules.get(name)
    if loaded is not None:
        set_timeout(loaded, seconds)
        return

    around_import(name, lambda run, module: (run(module), set_timeout(module, seconds)))


def set_timeout(module, seconds):
    """The default timeout of every process group, which torch itself reads from no variable."""
    from datetime import timedelta

    timeout = timedelta(seconds=seconds)
    for name in ("default_pg_timeout", "default_pg_nccl_timeout"):
        if isinstance(getattr(module, name, None), timedelta):
            setattr(module, name, timeout)
    # Before torch 2.2 the default stands in the signature.
    function = module.init_process_group
    function = getattr(function, "__wrapped__", function)
    if function.__defaults__:
        function.__defaults__ = tuple(timeout if isinstance(d, timedelta) else d for d in function.__defaults__)
