# SPDX-License-Identifier: Apache-2.0
"""Several clients at once."""
import threading

from .wait import PATIENCE


class Crowd:
    """Runs `work(number, running)` in threads; `running()` turns false when the crowd must go home.

    Leaving the with-block ends it and raises the first error of any member.
    """

    def __init__(self, size, work):
        self._stop = threading.Event()
        self._errors = []
        self._threads = [threading.Thread(target=self._run, args=(work, i), daemon=True)
                         for i in range(size)]

    def _run(self, work, number):
        try:
            work(number, lambda: not self._stop.is_set())
        except BaseException as error:  # handed on to the test's own thread
            self._errors.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self.join()
        if kind is None:
            self.check()

    def check(self):
        if self._errors:
            raise self._errors[0]

    def join(self, seconds=PATIENCE * 2):
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                self._errors.append(AssertionError("a client hangs"))
                break


def all_together(size, work):
    """Each member runs work(number) once; returns when all are done."""
    crowd = Crowd(size, lambda number, _running: work(number))
    with crowd:
        crowd.join()
