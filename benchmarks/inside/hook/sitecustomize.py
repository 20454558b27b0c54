"""Times the optimizer steps of any training that uses torch, in any environment.

Python imports a module of this name when it starts, if its folder is on PYTHONPATH; no package
has to be changed. After a number of steps the process ends, so that what follows the training
takes no time and no memory. Environment: BENCHMARK_STEPS_FILE is written, BENCHMARK_NUM_STEPS are
timed, and with BENCHMARK_COUNTS=1 the floating-point operations of the last of them are counted.
When ``mtt train`` of ours has imported what it needs is written, too.
"""

import importlib.abc
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

OPTIMIZERS = "torch.optim.optimizer"
OUR_WORKFLOW = "metatrain.workflows.train"


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls something with a module when that has been imported, and imports nothing earlier."""

    def __init__(self, module, call):
        self.module = module
        self.call = call

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002
        """Take the usual module, with one call after it is loaded."""
        if name != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_call(module):
            load(module)
            self.call(module)

        spec.loader.exec_module = load_and_call
        return spec


class Steps:
    """When each step ended, on the clock that all processes of the machine share."""

    def __init__(self):
        self.ends = []
        self.end_of_imports = None
        self.last = int(os.environ["BENCHMARK_NUM_STEPS"])
        self.counter = None

    def __call__(self, *_):
        """A step has ended."""
        self.ends.append(time.monotonic())
        if len(self.ends) == self.last:
            self.write()
            os._exit(0)
        if len(self.ends) == self.last - 1 and os.environ.get("BENCHMARK_COUNTS"):
            self.count()

    def listen(self, optimizers):
        """Be told of each step."""
        optimizers.register_optimizer_step_post_hook(self)

    def imported(self, _):
        """All is imported."""
        self.end_of_imports = time.monotonic()

    def count(self):
        """Count from here on."""
        from counted_operations import CountedOperations  # noqa: PLC0415

        self.counter = CountedOperations()
        self.counter.__enter__()

    def write(self):
        """Leave everything in the file."""
        import torch  # noqa: PLC0415

        found = {"ends": self.ends, "end_of_imports": self.end_of_imports}
        if self.counter is not None:
            found["operations"] = self.counter.total
        if torch.cuda.is_initialized():
            found["device_mebibytes"] = torch.cuda.max_memory_allocated() / 2**20
        Path(os.environ["BENCHMARK_STEPS_FILE"]).write_text(json.dumps(found))


if "BENCHMARK_STEPS_FILE" in os.environ:
    steps = Steps()
    sys.meta_path.insert(0, AfterImport(OPTIMIZERS, steps.listen))
    sys.meta_path.insert(0, AfterImport(OUR_WORKFLOW, steps.imported))
