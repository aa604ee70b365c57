"""The teaching twin of `slowwave.learn.train`: the same night in plain lines, one decision at a time, all words."""

import math

import torch


def twin(model, trainable, lessons, anchors, s, seed):
    """Train `trainable` (parameters of `model`, by name) in place; returns the slow weights."""
    steps = math.ceil(s.epochs * len(lessons) / s.lesson_batch)

    def logp_TV(decision):  # how likely each word was, at each place of the reply
        ids_1T = torch.tensor([[*decision.context, *decision.reply]])
        return model(ids_1T).logits[0, len(decision.context) - 1 : -1].log_softmax(-1)

    def surprise(decision):
        return -logp_TV(decision)[range(len(decision.reply)), list(decision.reply)].mean()

    def change(decision, teacher_TV):  # KL(teacher || model) over the teacher's top words and one class for the rest
        top_TK = teacher_TV.topk(s.teacher_top_k).indices
        p_TK, q_TK = teacher_TV.gather(1, top_TK).exp(), logp_TV(decision).gather(1, top_TK).exp()
        p, q = (torch.cat([x, (1 - x.sum(1, keepdim=True)).clamp_min(1e-6)], 1) for x in (p_TK, q_TK))
        return (p * (p / q).log()).sum(1).mean()

    def draws(items, size, seed):  # every item once before any comes again
        generator, order = torch.Generator().manual_seed(seed), []
        while len(order) < steps * size:
            order += torch.randperm(len(items), generator=generator).tolist()
        return [[items[i] for i in order[step * size : (step + 1) * size]] for step in range(steps)]

    with torch.no_grad():
        taught = [(anchor, logp_TV(anchor)) for anchor in anchors]
    slow = {key: value.detach().clone() for key, value in trainable.items()}
    optimizer = torch.optim.AdamW([p.requires_grad_() for p in trainable.values()], weight_decay=s.weight_decay)
    kinds = [pair for pair in taught if not pair[0].from_start], [pair for pair in taught if pair[0].from_start]
    plan = (
        draws(lessons, s.lesson_batch, seed),
        draws(kinds[0], s.anchor_batch, seed + 1),
        draws(kinds[1], s.rehearsal_batch if kinds[1] else 0, seed + 2),
    )
    for step, (learn, keep, rehearse) in enumerate(zip(*plan, strict=True)):
        loss = sum(d.weight * surprise(d) for d in learn) / sum(d.weight for d in learn)
        loss = loss + s.kl_weight * sum(d.weight * change(d, t) for d, t in keep) / sum(d.weight for d, _ in keep)
        if rehearse:
            kl = sum(d.weight * change(d, t) for d, t in rehearse)
            loss = loss + s.rehearsal_weight * kl / sum(d.weight for d, _ in rehearse)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable.values(), s.clip)
        warmup = min(s.warmup, steps // 4)
        cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
        optimizer.param_groups[0]["lr"] = s.lr * ((step + 1) / (warmup + 1) if step < warmup else cosine)
        optimizer.step()
        for key, value in trainable.items():
            slow[key] += (1 - min(s.ema, (1 + step) / (10 + step))) * (value.detach() - slow[key])
    return slow
