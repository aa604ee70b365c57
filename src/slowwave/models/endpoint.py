"""An OpenAI-compatible endpoint: a larger model that dreams for a smaller one, and judges for it.

Synchronous, as a night is. What it sends is checked; whatever goes wrong is an UpstreamError.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from slowwave.errors import UpstreamError
from slowwave.records import Message

TIMEOUT = httpx.Timeout(connect=5, read=120, write=30, pool=300)  # seconds
AT_ONCE = 8  # requests under way
_ASK = "Continue this list with three more items, one a line, and write nothing else.\n\n"


class Endpoint:
    """`url` ends in /v1 where OpenAI's would; `model` is what is asked for there.

    Whatever is wrong with it, down, slow, refusing, or sending what is no answer, is an UpstreamError.
    """

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        self.url, self.model = url.rstrip("/"), model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def complete(
        self, prompts: Sequence[str], *, max_new_tokens: int, temperature: float, seed: int = 0, n: int = 1,
        stop: Sequence[str] = (), batch: int = AT_ONCE,
    ) -> list[list[str]]:  # fmt: skip
        """Each prompt continued `n` times, by chat: few endpoints still continue raw text.

        Args:
            batch: requests under way at once, AT_ONCE at most.
        """
        more = {"max_tokens": max_new_tokens, "temperature": temperature, "stop": list(stop)[:4]}
        texts = self._every(
            [
                {"messages": [{"role": "user", "content": _ASK + prompt}], "seed": seed + at * n + one, **more}
                for at, prompt in enumerate(prompts)
                for one in range(n)
            ],
            batch,
        )
        return [[f"{text}\n" if whole else text for text, whole in texts[at * n : (at + 1) * n]]  # else its end was cut
                for at in range(len(prompts))]  # fmt: skip

    def reply(self, chats: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """The likeliest answer to each."""
        asked = [{"messages": list(chat), "max_tokens": max_new_tokens, "temperature": 0.0} for chat in chats]
        return [text for text, _ in self._every(asked, AT_ONCE)]

    def _every(self, bodies: Sequence[dict[str, Any]], batch: int) -> list[tuple[str, bool]]:
        """Each answer, and whether it came to its end."""
        with (
            httpx.Client(timeout=TIMEOUT, headers=self._headers) as client,
            ThreadPoolExecutor(max(1, min(batch, AT_ONCE))) as pool,
        ):
            waiting = [pool.submit(self._ask, client, body) for body in bodies]
            try:
                return [one.result() for one in waiting]
            except UpstreamError:
                pool.shutdown(wait=False, cancel_futures=True)  # one that is down is not asked hundreds of times
                raise

    def _ask(self, client: httpx.Client, body: dict[str, Any]) -> tuple[str, bool]:
        name = f"The model {self.model} at {self.url}"
        try:
            answer = client.post(f"{self.url}/chat/completions", json={"model": self.model, **body})
            if answer.status_code != 200:
                raise UpstreamError(f"{name} answered with status {answer.status_code}.", "Look at its log.")
            choice = answer.json()["choices"][0]
            text, whole = choice["message"]["content"], choice.get("finish_reason") == "stop"
        except httpx.TimeoutException as error:
            raise UpstreamError(f"{name} is silent.", "Look at its log.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamError(f"{name} cannot be used: {error}.", "Is it running?") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UpstreamError(f"{name} sent no chat answer.", "Check its address in the settings.") from error
        if not isinstance(text, str):
            raise UpstreamError(f"{name} sent no text.", "Check its address in the settings.")
        return text, whole
