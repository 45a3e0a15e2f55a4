"""Loaded by Python at a rank's start: has DeepSpeed do without the operations in GANGFLOW_DEEPSPEED_OFF, then makes way."""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
# DeepSpeed's own launcher hands everything on to the ranks below it.
_is_rank = "LOCAL_RANK" in os.environ
_rest = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != _here]
if _is_rank and _rest:
    os.environ["PYTHONPATH"] = os.pathsep.join(_rest)
elif _is_rank:
    os.environ.pop("PYTHONPATH", None)


def _without(module, off):
    """DeepSpeed asks for what is compatible when it first needs to know; before 0.17 it does so in the import."""
    known = vars(module).get("__compatible_ops__")
    if known is not None:
        known.update(dict.fromkeys(off, False))
        return
    probe = module._probe_compatible_ops
    module._probe_compatible_ops = lambda: {**probe(), **dict.fromkeys(off, False)}


def _install(off):
    class Finder:
        @staticmethod
        def find_spec(fullname, path=None, target=None):
            if fullname != "deepspeed.ops":
                return None
            sys.meta_path.remove(Finder)
            spec = sys.modules["_frozen_importlib_external"].PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                run = spec.loader.exec_module
                spec.loader.exec_module = lambda module: (run(module), _without(module, off))
            return spec

    sys.meta_path.insert(0, Finder)


_off = os.environ.pop("GANGFLOW_DEEPSPEED_OFF", "").split() if _is_rank else []
if _off:
    _install(_off)

# The sitecustomize that would have been loaded without us, if there is one.
_self = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # noqa: F401
except ImportError as error:
    if error.name != "sitecustomize":
        raise
finally:
    sys.modules.setdefault("sitecustomize", _self)
