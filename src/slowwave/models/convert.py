"""GGUF to safetensors: dequantise once, so that the weights can be trained and mapped from disk.

bf16 holds what four to eight bits per weight can say. Knows nothing of where the file came from.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers import modeling_gguf_pytorch_utils as gguf_loader
from transformers.utils import logging

from slowwave.errors import DamagedFile, ModelError, OutOfSpace, SlowwaveError

_SAME = 0.98  # mean cosine above which two embedding matrices are one, quantised twice


def convert(gguf: Path, folder: Path, name: str) -> None:
    """Write the model and tokenizer of a GGUF file into `folder` as config.json, safetensors (bf16), tokenizer.json.

    About 15 s for 135 M parameters on two cores; takes 4 bytes of memory per parameter.

    Raises:
        DamagedFile: it is no GGUF file, or cut off. ModelError: an architecture that transformers cannot read.
        OutOfSpace: no disk space or memory.
    """
    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise DamagedFile(f"{gguf} is not a GGUF file.", "Fetch it again.")
    with _quiet(), _named_errors(gguf):
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        # Saving would look for the quantiser of the file that we have just left behind.
        del model.config.quantization_config
        model.hf_quantizer = None
        _tie(model)
        model.config.name_or_path = tokenizer.name_or_path = name  # otherwise a path of this machine is saved
        model.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _tie(model: Any) -> None:
    """Make the output matrix [V, D] the input embedding again where the file holds it twice, differently quantised.

    Small Qwens are tied; their GGUF files carry a second copy (0.5B: 630 M parameters become 494 M).
    """
    head_V_D, embedding_V_D = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    if head_V_D is embedding_V_D or head_V_D.shape != embedding_V_D.shape:
        return
    rows = slice(0, None, max(1, len(head_V_D) // 1000))
    if torch.cosine_similarity(head_V_D[rows], embedding_V_D[rows]).mean() > _SAME:
        model.config.tie_word_embeddings = True
        model.tie_weights()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no advice from transformers inside the block: the caller has its own way to show progress."""
    bars, level, tqdm = logging.is_progress_bar_enabled(), logging.get_verbosity(), gguf_loader.tqdm
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    gguf_loader.tqdm = functools.partial(tqdm, disable=True)  # this bar obeys no setting
    try:
        yield
    finally:
        gguf_loader.tqdm = tqdm
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _named_errors(gguf: Path) -> Iterator[None]:
    """Say in our words what gguf, numpy, torch and safetensors say in theirs; they share no base class."""
    try:
        yield
    except SlowwaveError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "No space left" in reason:
            raise OutOfSpace(f"No disk space left to convert {gguf.name}.", "Free some space and try again.") from error
        if isinstance(error, MemoryError) or "allocate memory" in reason:
            raise OutOfSpace(f"Not enough memory to convert {gguf.name}.", "Take a smaller model.") from error
        if "not supported" in reason:
            raise ModelError(f"{gguf.name} cannot be converted: {reason}", "Take the model in safetensors.") from error
        raise DamagedFile(f"{gguf} cannot be read ({reason}).", "Fetch it again.") from error
