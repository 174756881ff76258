"""A clock that only waiting moves, for what measures time and sleeps."""

from types import ModuleType
from typing import Self

import pytest


class ManualTime:
    """Stands for `monotonic_ns` and `sleep` of a module."""

    now_ns = 5_000_000_000

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)

    def stand_in(self, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Have a module ask this one."""
        monkeypatch.setattr(module, "monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr(module, "sleep", self.sleep, raising=False)
        return self
