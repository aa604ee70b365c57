"""Other tools' history as experiences, one file per format. `read` is the door.

Formats: "exchange" (DESIGN's JSONL, and OpenAI fine-tuning JSONL, which is the same thing), "chatgpt"
(`conversations.json`), "sage" (a SAGE experience buffer), "sage-exercises" (its `exercises.jsonl`).

A conversation of several turns becomes one experience per assistant answer: `messages` is the context up to and
including that answer, and the user's next turn (the follow-up) if there is one. See `experience/follow_up.py`.
The importers know no store; `experience/intake.py` puts what they read into one.
"""

from slowwave.experience.importers.conversation import MAX_MESSAGE_CHARACTERS, Rejected
from slowwave.experience.importers.reader import FORMATS, detect, read

__all__ = ["FORMATS", "MAX_MESSAGE_CHARACTERS", "Rejected", "detect", "read"]
