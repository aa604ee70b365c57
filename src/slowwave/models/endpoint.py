"""An OpenAI-compatible endpoint that continues prompts: a larger model that dreams for a smaller one.

Synchronous, as a night is. What it sends is checked; whatever goes wrong is an UpstreamError.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from slowwave.errors import UpstreamError

TIMEOUT = httpx.Timeout(connect=5, read=120, write=30, pool=300)  # seconds
AT_ONCE = 8  # requests under way
_ASK = "Continue this list with three more items, one a line, and write nothing else.\n\n"


class Endpoint:
    """`url` ends in /v1 where OpenAI's would; `model` is what is asked for there."""

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

        Raises:
            UpstreamError: it is down, slow, refuses, or sends what is no answer.
        """
        jobs = [(prompt, seed + at * n + one) for at, prompt in enumerate(prompts) for one in range(n)]
        with (
            httpx.Client(timeout=TIMEOUT, headers=self._headers) as client,
            ThreadPoolExecutor(max(1, min(batch, AT_ONCE))) as pool,
        ):
            waiting = [
                pool.submit(self._ask, client, prompt, number, max_new_tokens, temperature, stop)
                for prompt, number in jobs
            ]
            try:
                texts = [one.result() for one in waiting]
            except UpstreamError:
                pool.shutdown(wait=False, cancel_futures=True)  # one that is down is not asked hundreds of times
                raise
        return [texts[at * n : (at + 1) * n] for at in range(len(prompts))]

    def _ask(
        self, client: httpx.Client, prompt: str, seed: int, tokens: int, temperature: float, stop: Sequence[str]
    ) -> str:
        body: dict[str, Any] = {
            "model": self.model, "messages": [{"role": "user", "content": _ASK + prompt}], "max_tokens": tokens,
            "temperature": temperature, "seed": seed, "stop": list(stop)[:4],
        }  # fmt: skip
        try:
            answer = client.post(f"{self.url}/chat/completions", json=body)
            if answer.status_code != 200:
                raise UpstreamError(
                    f"The dreamer at {self.url} answered with status {answer.status_code}.", "Look at its log."
                )
            choice = answer.json()["choices"][0]
            text, whole = choice["message"]["content"], choice.get("finish_reason") == "stop"
        except httpx.TimeoutException as error:
            raise UpstreamError(f"The dreamer at {self.url} is silent.", "Look at its log.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamError(f"The dreamer at {self.url} cannot be used: {error}.", "Is it running?") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UpstreamError(f"The dreamer at {self.url} sent no chat answer.", "Check dream.dreamer.") from error
        if not isinstance(text, str):
            raise UpstreamError(f"The dreamer at {self.url} sent no text.", "Check dream.dreamer.")
        return f"{text}\n" if whole else text  # a last line without an end was cut off
