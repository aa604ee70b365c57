"""Who writes a night's dreams and who judges them by a rubric: the learner, a larger model on this machine, or one
behind an endpoint."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from slowwave.config import Settings
from slowwave.dream.rubric import Rubric
from slowwave.dream.settings import endpoint
from slowwave.dream.writer import Budgeted, Writes
from slowwave.models.zoo import resolve

if TYPE_CHECKING:
    from slowwave.models.engine import Engine

KEY = "SLOWWAVE_DREAMER_KEY"  # of whoever is behind an endpoint
_VERDICT = 4  # tokens of a yes or no


class Roles:
    """The roles of one night beside the learner. A model that judges stays loaded: rounds ask it again."""

    def __init__(self, settings: Settings, cache: Path, learner: Engine) -> None:
        self.settings, self.cache, self.learner = settings, cache, learner
        self._judge: Any = None

    def writer(self) -> Budgeted:
        """Who writes tonight's dreams, within the night's budgets."""
        dream = self.settings.dream
        writer: Writes = self._other(dream.dreamer) if dream.dreamer else cast("Any", self.learner)
        count = lambda text: len(self.learner.tokenizer(text, add_special_tokens=False)["input_ids"])  # noqa: E731
        return Budgeted(writer, count, dream.max_tokens, dream.max_seconds)

    def rubric(self, deadline: float) -> Rubric | None:
        """Who judges what rules and vectors leave open until the deadline, if anybody does."""
        if not (name := self.settings.dream.rubric):
            return None
        model = self._other(name)
        if all(endpoint(name)):
            return Rubric(partial(model.reply, max_new_tokens=_VERDICT), deadline)
        return Rubric(lambda chats: [row[0].text for row in model.generate(chats, max_new_tokens=_VERDICT)], deadline)

    def _other(self, name: str) -> Any:
        if name != self.settings.dream.rubric:
            return self._loaded(name)
        self._judge = self._judge or self._loaded(name)
        return self._judge

    def _loaded(self, name: str) -> Any:
        if all(endpoint(name)):
            from slowwave.models.endpoint import Endpoint

            return Endpoint(*endpoint(name), key=os.environ.get(KEY))
        from slowwave.models.engine import Engine

        model = self.settings.model
        device = None if model.device == "auto" else model.device
        return Engine.load(resolve(name, self.cache), device=device, dtype=model.dtype)
