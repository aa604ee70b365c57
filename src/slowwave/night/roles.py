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
from slowwave.dream.writer import Budgeted, Spent, Writes
from slowwave.models.zoo import resolve

if TYPE_CHECKING:
    from slowwave.models.engine import Engine

DREAMER_KEY, RUBRIC_KEY = "SLOWWAVE_DREAMER_KEY", "SLOWWAVE_RUBRIC_KEY"  # of who is behind an endpoint
_VERDICT = 4  # tokens of a yes or no


class Roles:
    """The roles of one night beside the learner. A model on this machine that has both is loaded once."""

    def __init__(self, settings: Settings, cache: Path, learner: Engine) -> None:
        self.settings, self.cache, self.learner = settings, cache, learner
        self._loaded: dict[str, Engine] = {}
        self._judges: Rubric | None = None  # the newest

    def writer(self, spent: Spent | None = None) -> Budgeted:
        """Who writes tonight's dreams, within what is left of the night's budgets."""
        dream = self.settings.dream
        writer: Writes = self._other(dream.dreamer, DREAMER_KEY) if dream.dreamer else cast("Any", self.learner)
        count = lambda text: len(self.learner.tokenizer(text, add_special_tokens=False)["input_ids"])  # noqa: E731
        return Budgeted(writer, count, dream.max_tokens, dream.max_seconds, spent)

    def rubric(self, deadline: float) -> Rubric | None:
        """Who judges what rules and vectors let pass, until the deadline; all that are asked for in a night judge as
        long together as dreams may be written."""
        dream, took = self.settings.dream, self._judges.took if self._judges else 0.0
        if not dream.rubric:
            return None
        model = self._other(dream.rubric, RUBRIC_KEY)
        ask = partial(model.reply, max_new_tokens=_VERDICT) if all(endpoint(dream.rubric)) else (
            lambda chats: [row[0].text for row in model.generate(chats, max_new_tokens=_VERDICT)]
        )  # fmt: skip
        self._judges = Rubric(ask, deadline, dream.max_seconds, took)
        return self._judges

    def release(self) -> None:
        """Lets go of the models that will not be asked again tonight: all but who judges between rounds."""
        dream = self.settings.dream
        kept = dream.rubric if dream.rounds > 1 else ""
        self._loaded = {name: model for name, model in self._loaded.items() if name == kept}
        if not kept:
            self._judges = None  # it holds its model

    def _other(self, name: str, key: str) -> Any:
        if all(endpoint(name)):
            from slowwave.models.endpoint import Endpoint

            return Endpoint(*endpoint(name), key=os.environ.get(key))
        if name not in self._loaded:
            from slowwave.models.engine import Engine

            model = self.settings.model
            device = None if model.device == "auto" else model.device
            self._loaded[name] = Engine.load(resolve(name, self.cache), device=device, dtype=model.dtype)
        return self._loaded[name]
