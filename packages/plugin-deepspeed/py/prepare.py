"""Compiles operations of DeepSpeed before the ranks of this host start: `prepare.py OP…`.

Its output has a line `[gangflow] OP is not compiled: WHY` for each that could not be. Exit code 3: there is no DeepSpeed. One
process of a host at a time; what was compiled before is taken as it is, and found without importing DeepSpeed.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys


def root():
    """Where torch keeps what it compiles."""
    named = os.environ.get("TORCH_EXTENSIONS_DIR")
    if named:
        return named
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "torch_extensions")


def key(op):
    """What the compiled operation depends on."""
    versions = [importlib.metadata.version(name) for name in ("deepspeed", "torch")]
    accelerator = [os.environ.get("DS_ACCELERATOR", ""), os.environ.get("CUDA_VISIBLE_DEVICES", "")]
    text = "\0".join([op, sys.version, sys.prefix, *versions, *accelerator])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_there(note):
    try:
        with open(note) as file:
            return os.path.exists(file.read())
    except OSError:
        return False


def compile_op(op, begun):
    """The path of the compiled operation; None where this host's accelerator has none of that name."""
    with contextlib.redirect_stdout(sys.stderr):
        from deepspeed.ops.op_builder.all_ops import ALL_OPS
        from torch.utils import cpp_extension

        builder = ALL_OPS.get(op)
        if builder is None:
            return None
        folder = cpp_extension._get_build_directory(op, False)
        # Whoever compiled under our lock and was killed has left torch's lock, for which torch waits for ever.
        if os.path.exists(begun):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, "lock"))
        with open(begun, "w"):
            pass
        sys.stderr.write("[gangflow] compiling %s, once on this host\n" % op)
        try:
            return builder.load(verbose=False).__file__
        finally:
            os.unlink(begun)


def prepare(op, folder):
    note = os.path.join(folder, "gangflow-" + key(op))
    if is_there(note):
        return None
    compiler = os.environ.get("CXX", "c++")
    for program in (compiler.split()[0], "ninja"):
        if shutil.which(program) is None:
            return "there is no %s" % program
    with open(os.path.join(folder, "gangflow-" + op + ".lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_there(note):
            return None
        made = compile_op(op, os.path.join(folder, "gangflow-" + op + ".begun"))
        if made is not None:
            with open(note + ".part", "w") as file:
                file.write(made)
            os.replace(note + ".part", note)
    return None


def main(ops):
    if importlib.util.find_spec("deepspeed") is None:
        sys.stderr.write("No module named 'deepspeed' for %s\n" % sys.executable)
        sys.exit(3)
    folder = root()
    for op in ops:
        try:
            os.makedirs(folder, exist_ok=True)
            why = prepare(op, folder)
        except Exception as error:
            import traceback

            traceback.print_exc()
            why = "%s: %s" % (type(error).__name__, str(error).split("\n")[0])
        if why:
            print("[gangflow] %s is not compiled: %s" % (op, why))


if __name__ == "__main__":
    main(sys.argv[1:])
