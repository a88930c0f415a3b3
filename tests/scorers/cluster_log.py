"""A preload of Dask workers (`dask worker --preload cluster_log.py`): one line for each begin and end of a shard.

Lines go to the file that AG_TEST_TASK_LOG names: seconds since 1970, process, shard, what it came to.
"""

import os
import time

from distributed.diagnostics.plugin import WorkerPlugin

STATES = ("executing", "memory", "error")


class TaskLog(WorkerPlugin):
    def transition(self, key, start, finish, **kwargs):
        # A shard that Dask moves to another worker to keep it is not made there.
        if str(key).startswith("shard-") and finish in STATES and (finish == "executing" or start == "executing"):
            with open(os.environ["AG_TEST_TASK_LOG"], "a") as file:
                file.write(f"{time.time():.3f} {os.getpid()} {int(str(key).split('-')[1])} {finish}\n")


async def dask_setup(worker):
    await worker.plugin_add(TaskLog())
