"""QuestDB over HTTP: statements and small answers as JSON."""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tickloop.core.errors import SinkAwayError, SinkError


@dataclass(frozen=True, slots=True)
class QuestDb:
    """A server: its HTTP port, and who asks."""

    address: str  # HOST:PORT
    user: str = ""
    password: str = ""
    timeout_s: float = 30.0

    def ask(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement; give its rows. SinkAwayError if nobody answers, SinkError if refused."""
        url = f"http://{self.address}/exec?{urllib.parse.urlencode({'query': statement})}"
        request = urllib.request.Request(url)
        if self.user:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise self._refused(statement, error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SinkAwayError(
                f"QuestDB at {self.address} does not answer ({getattr(error, 'reason', error)});"
                " `tickloop status` tells of those started here"
            ) from error
        names = [column["name"] for column in found.get("columns", ())]
        return [dict(zip(names, row, strict=True)) for row in found.get("dataset", ())]

    def _refused(self, statement: str, error: urllib.error.HTTPError) -> SinkError:
        with error:
            text = error.read().decode(errors="replace")
        with suppress(ValueError, KeyError, TypeError):
            text = json.loads(text)["error"]
        told = f"QuestDB at {self.address} refused {statement[:80]!r}: {text[:300]}"
        if error.code == 401:
            return SinkError(f"{told}; check [sinks.questdb] user and password_file")
        return SinkAwayError(told) if error.code >= 500 else SinkError(told)
