"""APOLLO's teaching twin: algorithm 1 of the paper (arXiv 2412.05270) for one matrix, line by line, in float64."""

import math

import torch


def twin(weight, gradients, *, lr, rank, scale, tensorwise, redraw, weight_decay, growth, projections):
    """The weight after the gradients [m, n], m <= n; `projections` are P, one for each `redraw` steps."""
    W, M, V, before = weight.double(), 0.0, 0.0, None
    for t, G in enumerate(gradients, start=1):
        P = projections[(t - 1) // redraw].double()  # step 1: project the gradient into a low-rank space
        R = P @ G.double()
        M = 0.9 * M + (1 - 0.9) * R  # step 2: AdamW's states there
        V = 0.999 * V + (1 - 0.999) * R**2
        R_tilde = (M / (1 - 0.9**t)) / ((V / (1 - 0.999**t)).sqrt() + 1e-8)
        if tensorwise:  # step 3: the scaling, by tensor or by channel
            G_scaled = G.double() * (R_tilde.norm() / R.norm())
        else:
            s = torch.stack([R_tilde[:, j].norm() / R[:, j].norm() for j in range(G.shape[1])])
            G_scaled = G.double() @ torch.diag(s)
        G_scaled = math.sqrt(scale) * G_scaled
        if before is not None and G_scaled.norm() > growth * before:  # the norm-growth limiter
            G_scaled = G_scaled / G_scaled.norm() * growth * before
        before = G_scaled.norm()
        W = W - lr * G_scaled - lr * weight_decay * W  # step 4: the weight, with decoupled decay
    return W
