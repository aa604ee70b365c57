"""How far a version has moved from another on given answers: forward KL(a || b) per answer token, in nats.

Forward, because it punishes b for losing what a would have said. From the full logits of both, in fp32: in bf16
the differences of interest (0.01 nats) drown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from slowwave.errors import ExamError
from slowwave.models.chat import prompt_ids, reply_ids
from slowwave.records import Message

if TYPE_CHECKING:
    from slowwave.models.engine import Engine

_REPLY_TOKENS = 512  # of one batch: 50 MB of bf16 logits a version at a vocabulary of 49,152
_CHUNK = 128  # reply tokens whose log-probabilities are in memory at once: 25 MB each in fp32


@dataclass(frozen=True)
class Divergence:
    """Forward KL in nats: its mean per answer token and per chat, and how often both choose the same token."""

    per_token: float
    per_chat: tuple[float, ...]
    agreement: float  # share of answer tokens at which both versions' first choices are the same


@torch.inference_mode()
def forward_kl(
    engine: Engine,
    chats_with_answers: Sequence[tuple[Sequence[Message], str]],
    adapter_a: str | None = None,
    adapter_b: str | None = None,
) -> Divergence:
    """KL(`adapter_a` || `adapter_b`) on the tokens of each answer, the end token included; None is the base.

    Tokenised as for training: `models.chat.prompt_ids`, then `reply_ids`. Chats longer than the model reads lose
    their beginning.

    Raises:
        ExamError: nothing to compare, or a NaN.
    """
    if not chats_with_answers:
        raise ExamError("There are no answers to measure drift on.", "The panel's general questions are missing.")
    limit = engine.model.config.max_position_embeddings
    encoded = []
    for chat, answer in chats_with_answers:
        reply = reply_ids(engine.tokenizer, answer)[: limit - 1]
        encoded.append(([*prompt_ids(engine.tokenizer, chat), *reply][-limit:], len(reply)))
    sums, hits, counts = [0.0] * len(encoded), 0, [length for _, length in encoded]
    for rows in _batches(encoded):
        with engine.using(adapter_a):
            logits_a = _reply_logits(engine, [encoded[i] for i in rows])
        with engine.using(adapter_b):
            logits_b = _reply_logits(engine, [encoded[i] for i in rows])
        for i, a_TV, b_TV in zip(rows, logits_a, logits_b, strict=True):
            for a_CV, b_CV in zip(a_TV.split(_CHUNK), b_TV.split(_CHUNK), strict=True):
                loga_CV, logb_CV = a_CV.float().log_softmax(-1), b_CV.float().log_softmax(-1)
                sums[i] += float((loga_CV.exp() * (loga_CV - logb_CV)).sum())
                hits += int((a_CV.argmax(-1) == b_CV.argmax(-1)).sum())
    per_chat = tuple(total / count for total, count in zip(sums, counts, strict=True))
    per_token = sum(sums) / sum(counts)
    if per_token != per_token:
        raise ExamError("The drift is NaN.", "The version's weights are damaged; the night must not be promoted.")
    return Divergence(per_token, per_chat, hits / sum(counts))


def _batches(encoded: Sequence[tuple[list[int], int]]) -> list[list[int]]:
    """Indices of like lengths together, so many that their replies, padded, have `_REPLY_TOKENS` at most."""
    batches: list[list[int]] = []
    longest = 0
    for i in sorted(range(len(encoded)), key=lambda i: len(encoded[i][0])):
        longest = max(longest, encoded[i][1])
        if not batches or longest * (len(batches[-1]) + 1) > _REPLY_TOKENS:
            batches.append([])
            longest = encoded[i][1]
        batches[-1].append(i)
    return batches


def _reply_logits(engine: Engine, rows: Sequence[tuple[list[int], int]]) -> list[Tensor]:
    """For each row (tokens, reply length T) the logits [T, V] that predict its reply."""
    # Padded on the left, so that all replies end together and only their logits are computed.
    tokens = {"input_ids": [ids for ids, _ in rows]}
    padded: Any = engine.tokenizer.pad(tokens, padding_side="left", return_tensors="pt")
    ids_BS, mask_BS = padded["input_ids"].to(engine.device), padded["attention_mask"].to(engine.device)
    kept = max(length for _, length in rows) + 1  # the first reply token is predicted one position before it
    logits_BKV = engine.model(
        input_ids=ids_BS, attention_mask=mask_BS, position_ids=(mask_BS.cumsum(-1) - 1).clamp(min=0),
        use_cache=False, logits_to_keep=kept,
    ).logits  # fmt: skip
    return [logits_BKV[row, kept - 1 - length : kept - 1] for row, (_, length) in enumerate(rows)]
