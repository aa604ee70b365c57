"""One model in memory that answers, scores and carries adapters. It knows nothing of users, stores or nights.

One copy of the base weights serves every version: low-rank adapters lie beside them, and a full-parameter version
swaps its tensors in and out by reference. All calls take one lock, so threads may share an engine.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria, StoppingCriteriaList
from transformers.utils.logging import disable_progress_bar

from slowwave.errors import AdapterMismatch, DamagedFile, ModelNotFound, UsageError
from slowwave.learn import adapter as lora
from slowwave.learn import cache as kv
from slowwave.learn import difference
from slowwave.models.chat import header_length, prompt_ids, split_next, turn_end
from slowwave.models.manifest import base_hash
from slowwave.records import Message


@dataclass(frozen=True)
class Reply:
    """One generated answer; `tokens` counts what was generated, the end token included."""

    text: str
    tokens: int
    prompt_tokens: int
    finish: Literal["stop", "length"]


@dataclass(frozen=True)
class TokenScores:
    """Per token of a text, in nats: its negative log-likelihood and the entropy of the prediction. float32[T]."""

    nll: np.ndarray
    entropy: np.ndarray


class _StopAt(StoppingCriteria):
    """Ends each row at the first of some strings. Decodes the tail only: a stop string spans few tokens."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], start: int) -> None:
        self.tokenizer, self.stop, self.start = tokenizer, stop, start
        self.tail = 4 + max(len(text) for text in stop)

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        rows = input_ids[:, max(self.start, input_ids.shape[1] - self.tail) :]
        texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        return torch.tensor([any(s in text for s in self.stop) for text in texts], device=input_ids.device)


class Engine:
    """A causal language model with its tokenizer and any number of loaded versions."""

    def __init__(self, model: Any, tokenizer: Any, base_hash: str) -> None:
        self.model, self.tokenizer, self.base_hash = model.eval(), tokenizer, base_hash
        self.template_hash = hashlib.sha256((tokenizer.chat_template or "").encode()).hexdigest()
        self.ends = _ends(model, tokenizer)
        self.device, self.dtype = model.device, model.dtype
        self.rows = 64 if self.device.type == "cpu" else 384  # sequences that generate together at the best speed
        self.lock = threading.RLock()
        self.active: str | None = None
        self._full: dict[str, dict[str, Tensor]] = {}
        tokenizer.padding_side = "left"
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        # On a CPU, torch copies the head [V, D] once for every row of a batch whose hidden states are a slice: 1.8 GB
        # and 40 % of the time of 24 tokens for 32 rows.
        model.get_output_embeddings().register_forward_pre_hook(lambda _, hidden: (hidden[0].contiguous(),))

    @classmethod
    def load(cls, path: Path, *, device: str | None = None, dtype: str = "auto") -> Engine:
        """Load a local folder (config, safetensors, tokenizer).

        Args:
            dtype: "bfloat16", "float32" or "auto": bfloat16 on GPUs and on CPUs with AMX, where it is two to three
                times faster at the same answers; float32 on other CPUs, where bfloat16 is slower, AVX512-BF16 or not
                (docs/recipe.md).

        Raises:
            ModelNotFound: no such folder. DamagedFile: its files cannot be read.
        """
        if not (path / "config.json").is_file():
            raise ModelNotFound(f"There is no model in {path}.", "Run: slowwave models pull")
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if dtype == "auto":
            fast = device != "cpu" or torch.cpu._is_amx_tile_supported()
            dtype = "bfloat16" if fast else "float32"
        if dtype not in ("bfloat16", "float32"):
            raise UsageError(f"Unknown precision {dtype!r}.", "Use bfloat16, float32 or auto.")
        disable_progress_bar()  # half a second of bars on standard error says nothing to a user
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
            model: Any = AutoModelForCausalLM.from_pretrained(
                str(path), dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise DamagedFile(
                f"The model in {path} cannot be loaded ({error}).", "Remove that folder and pull it again."
            ) from error
        except Exception as error:  # safetensors' own error class derives from Exception alone
            if type(error).__module__.startswith("safetensors"):
                raise DamagedFile(
                    f"The model in {path} is damaged ({error}).", "Remove that folder and pull it again."
                ) from error
            raise
        if tokenizer.chat_template is None:
            raise UsageError(f"The model in {path} has no chat template.", "Use an instruction-tuned model.")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return cls(model.to(device), tokenizer, base_hash(path))

    # --- versions -----------------------------------------------------------------------------------------------

    def load_adapter(self, folder: Path) -> str:
        """Load a version's folder; its name comes from its manifest. Loading twice does nothing.

        Raises:
            AdapterMismatch: made for another base or chat template. DamagedFile: unreadable.
        """
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
            name = str(manifest["name"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedFile(f"The manifest in {folder} cannot be read ({error}).", "Undo that night.") from error
        for key, own in (("base_hash", self.base_hash), ("template_hash", self.template_hash)):
            if manifest.get(key) != own:
                raise AdapterMismatch(
                    f"{name} was made for another {key.removesuffix('_hash')} than the loaded model's.",
                    "Load the model it was made for, or undo that night.",
                )
        with self.lock:
            if not self.has(name):
                self.add_version(name, folder)
        return name

    def add_version(self, name: str, folder: Path) -> None:
        """Load the tensors of `folder` as version `name`: the exact difference where there is one, else the adapter."""
        with self.lock, self.using(None):
            if (folder / difference.FILE).is_file():
                self._full[name] = difference.load(self.model, folder)
            else:
                lora.load(self.model, _key(name), folder, self.dtype)
                lora.activate(self.model, None)

    def has(self, name: str) -> bool:
        """Whether version `name` is in memory."""
        return name in self._full or _key(name) in getattr(self.model, "peft_config", {})

    def unload(self, name: str) -> None:
        """Forget version `name`."""
        with self.lock:
            if self.active == name:
                self._switch(None)
            if self._full.pop(name, None) is None:
                lora.remove(self.model, _key(name))

    @contextmanager
    def using(self, adapter: str | None) -> Iterator[None]:
        """Inside the block version `adapter` answers; None is the base. Holds the engine's lock."""
        with self.lock:
            before = self.active
            self._switch(adapter)
            try:
                yield
            finally:
                self._switch(before)

    def _switch(self, adapter: str | None) -> None:
        if adapter == self.active:
            return
        if adapter is not None and not self.has(adapter):
            raise ModelNotFound(f"Version {adapter} is not loaded.", "Load it with load_adapter first.")
        if self.active in self._full:
            difference.swap(self.model, self._full[self.active])  # puts the base's tensors back
        lora.activate(self.model, _key(adapter) if adapter is not None and adapter not in self._full else None)
        if adapter in self._full:
            difference.swap(self.model, self._full[adapter])
        self.active = adapter

    # --- answering ----------------------------------------------------------------------------------------------

    def generate(
        self, chats: Sequence[Sequence[Message]], *, max_new_tokens: int = 64, temperature: float = 0.0,
        top_p: float = 1.0, seed: int = 0, n: int = 1, stop: Sequence[str] = (), batch: int = 16,
    ) -> list[list[Reply]]:  # fmt: skip
        """Answer each chat `n` times; temperature 0 is greedy. The same seed and batch give the same answers."""
        prompts = [prompt_ids(self.tokenizer, chat) for chat in chats]
        return self._generate(prompts, max_new_tokens, temperature, top_p, seed, n, stop, batch)

    def complete(
        self, prompts: Sequence[str], *, max_new_tokens: int, temperature: float, top_p: float = 1.0, seed: int = 0,
        n: int = 1, stop: Sequence[str] = (), batch: int = 16,
    ) -> list[list[str]]:  # fmt: skip
        """Continue raw text, without the chat template."""
        ids = [list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"]) for prompt in prompts]
        replies = self._generate(ids, max_new_tokens, temperature, top_p, seed, n, stop, batch)
        return [[reply.text for reply in row] for row in replies]

    @torch.inference_mode()
    def _generate(
        self, prompts: list[list[int]], max_new_tokens: int, temperature: float, top_p: float, seed: int, n: int,
        stop: Sequence[str], batch: int,
    ) -> list[list[Reply]]:  # fmt: skip
        limit = self.model.config.max_position_embeddings
        for ids in prompts:
            if len(ids) + 1 > limit:
                raise UsageError(f"The conversation has {len(ids)} tokens; the model reads {limit}.", "Shorten it.")
        if temperature <= 0 and n > 1:  # greedy answers are all the same
            once = self._generate(prompts, max_new_tokens, temperature, top_p, seed, 1, stop, batch)
            return [row * n for row in once]
        out: list[list[Reply]] = [[] for _ in prompts]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # like lengths together: little padding
        rows = max(1, batch // n)
        with self.lock, torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            for first in range(0, len(order), rows):
                chosen = order[first : first + rows]
                inputs = self._inputs([prompts[i] for i in chosen], n)
                start = inputs["input_ids"].shape[1]
                sampling: dict[str, Any] = {"do_sample": temperature > 0}
                if temperature > 0:
                    sampling |= {"temperature": temperature, "top_p": top_p, "top_k": 0}
                stops = [_StopAt(self.tokenizer, stop, start)] if stop else []
                tokens_BT = self.model.generate(
                    **inputs, max_new_tokens=min(max_new_tokens, limit - start), num_return_sequences=n,
                    eos_token_id=sorted(self.ends), pad_token_id=self.tokenizer.pad_token_id,
                    stopping_criteria=StoppingCriteriaList(stops), **sampling,
                )  # fmt: skip
                for row, tokens in enumerate(tokens_BT[:, start:].tolist()):
                    index = chosen[row // n]
                    out[index].append(self._reply(tokens, len(prompts[index]), stop))
        return out

    def _inputs(self, prompts: list[list[int]], n: int) -> dict[str, Any]:
        """Padded on the left, but for what all begin with: it is read once, and its keys and values serve each row."""
        header = header_length(self.tokenizer)  # whole in each row: from it on an activated adapter acts
        shared = kv.shared([tuple(ids[: len(ids) - header + 1]) for ids in prompts])
        padded: Any = self.tokenizer.pad({"input_ids": [ids[shared:] for ids in prompts]}, return_tensors="pt")
        ids_BT, mask_BT = padded["input_ids"].to(self.device), padded["attention_mask"].to(self.device)
        if not shared:
            return {"input_ids": ids_BT, "attention_mask": mask_BT}
        prefix_1P, cache = torch.tensor([prompts[0][:shared]], device=self.device), kv.empty(self.model)
        self.model(input_ids=prefix_1P, **kv.passed(self.model, cache), logits_to_keep=1)
        cache.batch_repeat_interleave(len(prompts) * n)
        before_BP = prefix_1P.expand(len(prompts), -1)
        return {
            "input_ids": torch.cat([before_BP, ids_BT], dim=1),
            "attention_mask": torch.cat([torch.ones_like(before_BP), mask_BT], dim=1),
            **kv.passed(self.model, cache),
        }

    def _reply(self, tokens: list[int], prompt_tokens: int, stop: Sequence[str]) -> Reply:
        end = next((place for place, token in enumerate(tokens) if token in self.ends), None)
        if end is not None:
            tokens = tokens[: end + 1]
        text = self._text(tokens)
        cut = min((text.index(s) for s in stop if s in text), default=None)
        finish: Literal["stop", "length"] = "length" if end is None and cut is None else "stop"
        return Reply(text[:cut].strip() if cut is not None else text.strip(), len(tokens), prompt_tokens, finish)

    def _text(self, tokens: list[int]) -> str:
        """What the tokens say. An end is no word, even where the tokenizer does not call it special."""
        return str(self.tokenizer.decode([t for t in tokens if t not in self.ends], skip_special_tokens=True))

    def stream(
        self, chat: Sequence[Message], *, max_new_tokens: int = 256, temperature: float = 0.0, top_p: float = 1.0,
        seed: int = 0, stop: Sequence[str] = (),
    ) -> Iterator[str | Reply]:  # fmt: skip
        """Yield pieces of text as they come, and the whole `Reply` last. Closing the iterator ends the generation."""
        ids = prompt_ids(self.tokenizer, chat)
        limit = self.model.config.max_position_embeddings
        if len(ids) + 1 > limit:
            raise UsageError(f"The conversation has {len(ids)} tokens; the model reads {limit}.", "Shorten it.")
        generator = torch.Generator(self.device).manual_seed(seed)
        held = max((len(s) for s in stop), default=1) - 1  # keep back what may be the beginning of a stop string
        tokens: list[int] = []
        sent = 0
        with self.lock:
            remembered, step = kv.passed(self.model, kv.empty(self.model)), torch.tensor([ids], device=self.device)
            while len(tokens) < min(max_new_tokens, limit - len(ids)):
                with torch.inference_mode():  # not around the yield: the mode would leak into the caller
                    out = self.model(input_ids=step, **remembered, logits_to_keep=1)
                    token = _pick(out.logits[0, -1].float(), temperature, top_p, generator)
                step = torch.tensor([[token]], device=self.device)
                tokens.append(token)
                text = self._text(tokens)
                if token in self.ends or any(s in text for s in stop):
                    break
                ready = len(text) - held
                if ready > sent and not text.endswith("\N{REPLACEMENT CHARACTER}"):  # half of a multi-byte character
                    yield text[sent:ready]
                    sent = ready
        reply = self._reply(tokens, len(ids), stop)
        whole = self._text(tokens)
        whole = whole[: min((whole.index(s) for s in stop if s in whole), default=len(whole))]
        if len(whole) > sent:
            yield whole[sent:]
        yield reply

    # --- scoring ------------------------------------------------------------------------------------------------

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[TokenScores]:
        """How each text is expected as its chat's next message (the user's after an answer, else the assistant's)."""
        return self._score([split_next(self.tokenizer, chat, text) for chat, text in pairs])

    def continuation_logprob(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Mean log-likelihood per token (nats) of each continuation after its raw-text context."""
        encode = lambda text: list(self.tokenizer(text, add_special_tokens=False)["input_ids"])  # noqa: E731
        scores = self._score([(encode(context), encode(text)) for context, text in pairs])
        return [-float(s.nll.mean()) if len(s.nll) else float("nan") for s in scores]

    def bits_per_byte(self, texts: Sequence[str]) -> list[float]:
        """Bits per UTF-8 byte of each text, its first token given."""
        encoded = [list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        scores = self._score([(ids[:1], ids[1:]) for ids in encoded])
        return [
            float(s.nll.sum()) / np.log(2) / max(1, len(text.encode())) for s, text in zip(scores, texts, strict=True)
        ]

    @torch.inference_mode()
    def _score(self, pairs: Sequence[tuple[list[int], list[int]]], tokens_per_batch: int = 4096) -> list[TokenScores]:
        empty = np.zeros(0, np.float32)
        out = [TokenScores(empty, empty) for _ in pairs]
        limit = self.model.config.max_position_embeddings
        fitted = [(context[-max(1, limit - len(text)) :], text[: limit - 1]) for context, text in pairs]
        order = sorted((i for i, (c, t) in enumerate(fitted) if c and t), key=lambda i: sum(map(len, fitted[i])))
        with self.lock:
            while order:
                longest, chosen = 0, list[int]()
                while order and max(longest, sum(map(len, fitted[order[0]]))) * (len(chosen) + 1) <= max(
                    tokens_per_batch, sum(map(len, fitted[order[0]])) if not chosen else 0
                ):
                    chosen.append(order.pop(0))
                    longest = max(longest, sum(map(len, fitted[chosen[-1]])))
                ids_BT = torch.full((len(chosen), longest), self.tokenizer.pad_token_id)
                mask_BT = torch.zeros_like(ids_BT)
                for row, i in enumerate(chosen):
                    tokens = [*fitted[i][0], *fitted[i][1]]
                    ids_BT[row, : len(tokens)], mask_BT[row, : len(tokens)] = torch.tensor(tokens), 1
                hidden_BTD = self.model.model(
                    input_ids=ids_BT.to(self.device), attention_mask=mask_BT.to(self.device), use_cache=False
                ).last_hidden_state
                for row, i in enumerate(chosen):
                    context, text = fitted[i]
                    window = slice(len(context) - 1, len(context) + len(text) - 1)
                    logp_TV = self.model.lm_head(hidden_BTD[row, window]).float().log_softmax(-1)
                    target_T1 = torch.tensor(text, device=self.device)[:, None]
                    entropy_T = -(logp_TV.exp() * logp_TV).sum(-1)
                    out[i] = TokenScores(-logp_TV.gather(1, target_T1)[:, 0].cpu().numpy(), entropy_T.cpu().numpy())
        return out


def _pick(logits_V: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits_V.argmax())
    probs_V, order_V = (logits_V / temperature).softmax(-1).sort(descending=True)
    keep_V = probs_V.cumsum(-1) - probs_V < top_p  # the smallest set whose mass reaches top_p
    return int(order_V[torch.multinomial(probs_V * keep_V, 1, generator=generator)])


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token at which an answer is over: the template's end of turn, the tokenizer's eos, those of the model."""
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    return frozenset(token for token in (turn_end(tokenizer), tokenizer.eos_token_id, *own) if token is not None)


def _key(name: str) -> str:
    """A version's name as PEFT can use it: dots would split a parameter's name."""
    return name.replace(".", "_")
