"""Loaded by Python at start-up, since this folder stands first on PYTHONPATH: equips a rank, then makes way."""

import os
import sys

import _gangflow_rank

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
# torchrun's own process hands everything on; the ranks below it are equipped.
if "LOCAL_RANK" in os.environ:
    _config = _gangflow_rank.take_config(os.environ)
    if _config is not None:
        if _config.get("relay"):
            _gangflow_rank.own_output(_config["relay"], "local" + os.environ["LOCAL_RANK"])
            _gangflow_rank.own_error_file(_config["relay"])
        if _config.get("output"):
            _gangflow_rank.own_directory(_config["output"])
        _gangflow_rank.install(_config)
else:
    _gangflow_rank.import_torch_faster()
del sys.modules["_gangflow_rank"]

# The sitecustomize that would have been loaded without us, if there is one.
_self = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # noqa: F401
except ImportError as error:
    if error.name != "sitecustomize":
        raise
finally:
    sys.modules.setdefault("sitecustomize", _self)
