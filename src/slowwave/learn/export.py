"""A full-parameter change as a low-rank adapter: the best rank-r approximation of every linear layer's difference.

Embeddings and norms have no place in a LoRA file, so their change is not exported; the share of the change's energy
(squared Frobenius norm) that remains is returned, and the exam is run again on the export where it matters.
"""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor

from slowwave.learn import difference, several


def low_rank(before: dict[str, Tensor], after: dict[str, Tensor], rank: int, folder: Path) -> float:
    """Write a PEFT adapter with B A = truncated SVD of (after - before), scale 1.

    Returns:
        The share of energy kept, from 0 to 1.
    """
    tensors: dict[str, Tensor] = {}
    total = kept = 0.0
    for key, value in after.items():
        change = difference.change(before[key], value)
        total += float(change.square().sum())
        if not key.endswith("_proj.weight") or not bool(change.any()):
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # its sketch is random; the same change must give the same file
            u_OR, s_R, v_IR = torch.svd_lowrank(change, q=min(rank + 8, *change.shape), niter=4)
        u_OR, s_R, v_IR = u_OR[:, :rank], s_R[:rank], v_IR[:, :rank]
        kept += float(s_R.square().sum())
        stem = f"base_model.model.{key.removesuffix('.weight')}"
        pad = (0, 0, 0, rank - len(s_R))  # narrow layers have less than `rank` singular values
        tensors[f"{stem}.lora_A.weight"] = (
            torch.nn.functional.pad((v_IR * s_R.sqrt()).T, pad).to(torch.bfloat16).contiguous()
        )
        tensors[f"{stem}.lora_B.weight"] = (
            torch.nn.functional.pad((u_OR * s_R.sqrt()).T, pad).T.to(torch.bfloat16).contiguous()
        )
    if several.first():
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        names = sorted({key.split(".lora_")[0].rsplit(".", 1)[1] for key in tensors})
        LoraConfig(r=rank, lora_alpha=rank, target_modules=names, task_type="CAUSAL_LM").save_pretrained(str(folder))
    return kept / total if total else 1.0
