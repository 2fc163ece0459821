"""One line per check, and at the end `N passed, N failed`."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class StepFailed(Exception):
    """A check failed and was counted; what builds on it is not run."""


class Report:
    def __init__(self, client: str) -> None:
        self.client = client
        self.title = ""
        self.passed = 0
        self.failed = 0

    @asynccontextmanager
    async def scenario(self, title: str) -> AsyncIterator[None]:
        self.title = title
        try:
            yield
        except BaseException as error:  # a task group wraps what its tasks raise
            if isinstance(error, KeyboardInterrupt):
                raise
            if not _is_counted(error):
                self._fail("runs to its end", error)

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._fail(name, error)
            raise StepFailed from error
        self.passed += 1
        print(f"ok    {self.client} · {self.title} · {name}", flush=True)

    def _fail(self, name: str, error: BaseException) -> None:
        self.failed += 1
        print(f"FAIL  {self.client} · {self.title} · {name}", flush=True)
        print("".join(traceback.format_exception(error)), flush=True)

    def close(self) -> int:
        """Prints the total and answers the exit code. A run that checked nothing has failed."""
        if self.passed + self.failed == 0:
            self._fail("checks something", RuntimeError("no check was run"))
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def _is_counted(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_counted(inner) for inner in error.exceptions)
    return isinstance(error, StepFailed)
