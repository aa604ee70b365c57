"""From chat messages to tokens, once and the same way for answering, examining and training.

A decision is prompt tokens (everything up to and including the assistant's header) plus reply tokens (the answer
and the end-of-turn token). They are tokenised apart, as they are when the model generates.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from slowwave.errors import UsageError
from slowwave.records import Message

_MARKER = "\N{OBJECT REPLACEMENT CHARACTER}"  # stands where a text would, to find what the template puts around it


def _plain(tokenizer: Any, text: str) -> str:
    """`text` with the template's control tokens broken up, so that nobody forges a turn by writing `<|im_end|>`."""
    for token in tokenizer.added_tokens_decoder.values():
        if token.special and token.content in text:
            text = text.replace(token.content, f"{token.content[0]} {token.content[1:]}")
    return text


def _tame(tokenizer: Any, chat: Sequence[Message]) -> list[Message]:
    return [{**message, "content": _plain(tokenizer, message["content"])} for message in chat]


def prompt_ids(tokenizer: Any, chat: Sequence[Message]) -> list[int]:
    """Tokens of `chat` with the assistant's header at the end, as the model sees them before it answers."""
    text = tokenizer.apply_chat_template(_tame(tokenizer, chat), tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@lru_cache(maxsize=4)
def header_length(tokenizer: Any) -> int:
    """How many tokens the template puts before an answer to open its turn, such as "<|im_start|>assistant"."""
    chat = [{"role": "user", "content": "?"}]
    whole = prompt_ids(tokenizer, chat)
    before = tokenizer.apply_chat_template(chat, tokenize=False)
    return max(0, len(whole) - len(tokenizer(before, add_special_tokens=False)["input_ids"]))


def reply_ids(tokenizer: Any, answer: str) -> list[int]:
    """Tokens of an answer, with the end-of-turn token."""
    return [*tokenizer(_plain(tokenizer, answer), add_special_tokens=False)["input_ids"], turn_end(tokenizer)]


@lru_cache(maxsize=4)
def turn_end(tokenizer: Any) -> int:
    """The token with which the template ends an answer: the first special one after it, else `eos_token_id`.

    They differ where eos ends a whole document, as in Gemma (`<end_of_turn>`) and Phi-3 (`<|end|>`).

    Raises UsageError if there is neither.
    """
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARKER}]
    try:
        whole = tokenizer.apply_chat_template(chat, tokenize=False)
    except TemplateError:  # a template that wants something else before an answer
        whole = ""
    after = whole.rpartition(_MARKER)[2] if _MARKER in whole else ""
    known = tokenizer.added_tokens_decoder
    ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    end = next((token for token in ids if token in known and known[token].special), tokenizer.eos_token_id)
    if end is None:
        raise UsageError("The model has no token that ends a turn.", "Use an instruction-tuned model.")
    return int(end)


def split_next(tokenizer: Any, chat: Sequence[Message], text: str) -> tuple[list[int], list[int]]:
    """(context tokens, text tokens) for `text` as the next message: a user's after an answer, else the assistant's."""
    text = _plain(tokenizer, text)
    if not chat or chat[-1]["role"] != "assistant":
        return prompt_ids(tokenizer, chat), list(tokenizer(text, add_special_tokens=False)["input_ids"])
    whole = tokenizer.apply_chat_template(
        [*_tame(tokenizer, chat), {"role": "user", "content": _MARKER}], tokenize=False
    )
    header = whole[: whole.rindex(_MARKER)]
    encode = lambda piece: list(tokenizer(piece, add_special_tokens=False)["input_ids"])  # noqa: E731
    return encode(header), encode(text)
