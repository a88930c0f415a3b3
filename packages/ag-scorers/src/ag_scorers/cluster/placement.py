"""Which workers get shards: those that fail for reasons of their own are passed over, and in the end left out."""

import collections

from ag_core.errors import InputError

from ag_scorers.cluster.worker import Fault

# A worker is left out after so many failures without a success between them; at once when it lacks a file.
FAILURES = 3
# Failures of one shard, on whichever workers, that end the run: it is not the workers then.
ATTEMPTS = 8


class Placement:
    """What is known of the workers of a run, by their addresses.

    - `live`: those of the cluster now; `out`: those that are left out, with their last failure.
    - `kept`: what to say about the shards that are done, when none can be made any more.
    """

    def __init__(self, kept: str = ""):
        self.kept = kept
        self.live: set[str] = set()
        self.out: dict[str, Fault] = {}
        self.faults = 0
        self._in_a_row: collections.Counter[str] = collections.Counter()
        self._failed_on: dict[int, list[str]] = collections.defaultdict(list)
        self._fruitless: dict[int, set[str]] = collections.defaultdict(set)

    def usable(self) -> set[str]:
        """Workers that are there and not left out."""
        return self.live - self.out.keys()

    def allowed(self, number: int) -> list[str] | None:
        """Where a shard may be scored: not where it failed, if others are there; None for anywhere.

        Raises InputError if all that are there lack a file, RuntimeError if they are left out for other reasons.
        """
        usable, failed = self.usable(), set(self._failed_on[number])
        if self.live and not usable:
            faults = [fault for worker, fault in self.out.items() if worker in self.live]
            text = "; ".join(dict.fromkeys(str(fault) for fault in faults[:5]))
            kind = InputError if all(fault.lasting for fault in faults) else RuntimeError
            raise kind(f"no worker is left that can score: {text}; {self.kept}")
        if not failed and not self.out:
            return None
        return sorted(usable - failed or usable) or None

    def blame(self, number: int, fault: Fault) -> str:
        """Counts a failure; returns what to tell people, if there is something new.

        Raises RuntimeError when the shard has failed `ATTEMPTS` times.
        """
        self.faults += 1
        self._failed_on[number].append(fault.worker)
        if len(self._failed_on[number]) >= ATTEMPTS:
            raise RuntimeError(f"shard {number} has failed {ATTEMPTS} times, at last on {fault}; {self.kept}")
        self._in_a_row[fault.worker] += 1
        if fault.worker in self.out:
            return ""
        if fault.lasting or self._in_a_row[fault.worker] >= FAILURES:
            self.out[fault.worker] = fault
            times = "" if fault.lasting else f" after {FAILURES} failures"
            return f"a worker is left out{times}: {fault}"
        return f"shard {number} goes to another worker: {fault}"

    def excuse(self, number: int, fault: Fault) -> bool:
        """Whether a shard of which every variant failed is to be kept so: two workers agree, or there is but one.

        Those that had it are not to blame then.
        """
        self._fruitless[number].add(fault.worker)
        if len(self._fruitless[number]) < 2 and self.usable() - {fault.worker}:
            return False
        for worker in self._fruitless.pop(number):
            self.praise(worker)
        return True

    def praise(self, worker: str) -> None:
        """A worker that succeeded has no failures in a row, and is not left out any more."""
        self._in_a_row.pop(worker, None)
        self.out.pop(worker, None)
