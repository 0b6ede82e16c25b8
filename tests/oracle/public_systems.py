"""What other systems compute, written anew in PyTorch from the formulas of their public code: whole padded batches,
their masks, their reductions. Letters as in the library: z, p student; w, q teacher.

Facts are those of these files at these commits; README.md has the relation of each to the library's objectives.

    TRL        huggingface/trl                trl/experimental/gkd/gkd_trainer.py             054a0da
               huggingface/trl                trl/trainer/grpo_trainer.py                     d2b69d7 (sequence level)
               casinca/trl, a copy            trl/trainer/grpo_trainer.py                     2674c4f ("cispo")
    DistiLLM   jongwooko/distillm             distillm/losses.py, finetune.py                 17c0f98
    ABKD       ghwang-s/abkd                  distillation_llm/distillm/losses.py             0a1b430
                                              distillation_llm/finetune.py                    71d5461
    AKL        wutaiqiang/LLM_KD_AKL          AKL.py                                          91853fb
    TGPO       helldog-star/TGPO              luffy/verl/verl/mix_src/mix_core_alg.py         69a7628, 342c8ca
"""

from dataclasses import dataclass
from typing import Optional

import torch

IGNORED = -100


@dataclass
class Batch:
    """Tensors [sequences, length] and [sequences, length, vocabulary]; labels are -100 where there is no token."""
    student: torch.Tensor
    teacher: Optional[torch.Tensor]
    labels: torch.Tensor
    temperature: float
    tokens: Optional[torch.Tensor] = None
    teacher_tokens: Optional[torch.Tensor] = None
    old_log_probs: Optional[torch.Tensor] = None
    teacher_log_probs: Optional[torch.Tensor] = None
    advantages: Optional[torch.Tensor] = None

    @property
    def mask(self):
        return (self.labels != IGNORED).double()

    def log_prob(self, tokens):
        """The student's log-probability of one token per position."""
        return torch.log_softmax(self.student, dim=-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)

    @property
    def teacher_log_prob(self):
        if self.teacher_log_probs is not None:
            return self.teacher_log_probs
        return torch.log_softmax(self.teacher, dim=-1).gather(-1, self.tokens.unsqueeze(-1)).squeeze(-1)


def batch(inputs, z, active):
    """The inputs of a case as a padded batch: sequences of one length."""
    sequences, length = len(inputs["sequence_offsets"]) - 1, inputs["sequence_offsets"][1]

    def shaped(key, dtype):
        if inputs[key] is None:
            return None
        return torch.tensor(inputs[key], dtype=dtype).view(sequences, length, *[-1] * (key == "teacher"))

    labels = shaped("labels", torch.int64)
    if labels is None:
        labels = torch.zeros((sequences, length), dtype=torch.int64)
    labels = labels.masked_fill(~torch.tensor(active).view(sequences, length), IGNORED)
    return Batch(z.view(sequences, length, -1), shaped("teacher", torch.float64), labels,
                 inputs["temperature"]["student"], shaped("tokens", torch.int64), shaped("teacher_tokens", torch.int64),
                 *(shaped(key, torch.float64) for key in ("old_log_probs", "teacher_log_probs", "advantages")))


def masked_mean(x, mask):
    return (x * mask).sum() / mask.sum()


def masked_logits(*logits):
    """True where one of them is infinite."""
    return sum(torch.isinf(x) for x in logits) > 0


# ---------------------------------------------------------------------------------------------------------------------
# TRL
# ---------------------------------------------------------------------------------------------------------------------

def trl_generalized_jsd_loss(z, w, labels, beta, temperature, reduction):
    """beta weighs the teacher. Masked positions are selected away: a mean over what is left counts vocabulary too."""
    log_p, log_q = torch.log_softmax(z / temperature, dim=-1), torch.log_softmax(w / temperature, dim=-1)
    if beta == 0:
        points = log_q.exp() * (log_q - log_p)
    elif beta == 1:
        points = log_p.exp() * (log_p - log_q)
    else:
        b = torch.tensor(beta, dtype=torch.float64)
        log_m = torch.logaddexp(log_q + b.log(), log_p + torch.log1p(-b))
        points = b * log_q.exp() * (log_q - log_m) + (1 - b) * log_p.exp() * (log_p - log_m)
    if labels is not None:
        points = points[labels != IGNORED]
    if reduction == "mean":
        return points.mean()
    return points.sum() / points.shape[0]    # with labels the first dimension counts tokens, without them sequences


def trl_grpo_loss(b, loss_type, level, epsilon_low, epsilon_high, num_items):
    """The loss types that have a counterpart of their own; one advantage per sequence; beta = 0, one process."""
    log_p = b.log_prob(b.tokens)
    log_ratio = log_p - b.old_log_probs
    advantages = b.advantages
    if level == "sequence":
        log_ratio = ((log_ratio * b.mask).sum(-1) / b.mask.sum(-1).clamp(min=1)).unsqueeze(-1)
        advantages = b.advantages[:, :1]
    ratio = log_ratio.exp()
    if loss_type == "cispo":
        return (-ratio.clamp(max=epsilon_high).detach() * advantages * log_p * b.mask).sum() / num_items
    per_token = -torch.minimum(ratio * advantages, ratio.clamp(1 - epsilon_low, 1 + epsilon_high) * advantages)
    if loss_type == "grpo":
        return ((per_token * b.mask).sum(-1) / b.mask.sum(-1).clamp(min=1)).mean()
    assert loss_type == "bnpo"
    return (per_token * b.mask).sum() / b.mask.sum().clamp(min=1)


# ---------------------------------------------------------------------------------------------------------------------
# DistiLLM: T = 1; what is infinite on either side adds nothing; the mean is over labelled tokens
# ---------------------------------------------------------------------------------------------------------------------

def over_labelled(per_entry, infinite, labels):
    return masked_mean(per_entry.masked_fill(infinite, 0.0).sum(-1), (labels != IGNORED).double())


def distillm_forward_kl(z, w, labels):
    """The cross-entropy of the student to the teacher: the teacher's entropy is not taken off."""
    return over_labelled(-torch.softmax(w, -1) * torch.log_softmax(z, -1), masked_logits(z), labels)


def distillm_reverse_kl(z, w, labels):
    log_p, log_q = torch.log_softmax(z, -1), torch.log_softmax(w, -1)
    return over_labelled(torch.softmax(z, -1) * (log_p - log_q), masked_logits(z, w), labels)


def distillm_symmetric_kl(z, w, labels, lam):
    return (1 - lam) * distillm_forward_kl(z, w, labels) + lam * distillm_reverse_kl(z, w, labels)


def distillm_js_distance(z, w, labels, lam):
    p, q = torch.softmax(z, -1), torch.softmax(w, -1)
    log_m = torch.log(lam * p + (1 - lam) * q)
    of_student = over_labelled(p * (torch.log_softmax(z, -1) - log_m), masked_logits(z, w), labels)
    of_teacher = over_labelled(q * (torch.log_softmax(w, -1) - log_m), masked_logits(z, w), labels)
    return lam * of_student + (1 - lam) * of_teacher


def distillm_tv_distance(z, w, labels):
    return over_labelled(0.5 * (torch.softmax(w, -1) - torch.softmax(z, -1)).abs(), masked_logits(z, w), labels)


def distillm_skewed_forward_kl(z, w, labels, lam):
    """lam is the teacher's share of the mixture; again the teacher's entropy is not taken off."""
    p, q = torch.softmax(z, -1), torch.softmax(w, -1)
    return over_labelled(-q * torch.log(lam * q + (1 - lam) * p), masked_logits(z, w), labels)


def distillm_skewed_reverse_kl(z, w, labels, lam):
    """lam is the student's share of the mixture."""
    p, q = torch.softmax(z, -1), torch.softmax(w, -1)
    log_m = torch.log(lam * p + (1 - lam) * q)
    return over_labelled(p * (torch.log_softmax(z, -1) - log_m), masked_logits(z, w), labels)


def mixed_with_language_model_loss(z, labels, ratio, distillation):
    """finetune.py of DistiLLM and of ABKD."""
    language_model = torch.nn.functional.cross_entropy(z.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    return (1 - ratio) * language_model + ratio * distillation


# ---------------------------------------------------------------------------------------------------------------------
# ABKD and AKL
# ---------------------------------------------------------------------------------------------------------------------

def abkd_ab_div(z, w, labels, alpha, beta):
    """The limits at alpha = 0 and at beta = 0 as they are written there: without a second division by the other one."""
    p, q = torch.softmax(z, -1), torch.softmax(w, -1)
    if alpha == 0 and beta == 0:
        points = 0.5 * (p.log() - q.log()) ** 2
    elif alpha == 0:
        points = (p**beta * torch.log(p**beta / q**beta) - p**beta + q**beta) / beta
    elif beta == 0:
        points = (q**alpha * torch.log(q**alpha / p**alpha) - q**alpha + p**alpha) / alpha
    else:
        total = alpha + beta
        points = -(q**alpha * p**beta - alpha / total * q**total - beta / total * p**total) / (alpha * beta)
    return masked_mean(points.sum(-1), (labels != IGNORED).double())


def akl(z, w, labels, mu):
    """Weights from the gap between the distributions on the teacher's head and tail; no gradient flows through them."""
    log_p, log_q = torch.log_softmax(z, -1), torch.log_softmax(w, -1)
    with torch.no_grad():
        ranked, order = log_q.exp().sort(dim=-1, descending=True)
        gap = (ranked - log_p.exp().gather(-1, order)).abs()
        beyond = ranked.cumsum(-1) > mu
        beyond[..., 0] = False
        head, tail = (gap * ~beyond).sum(-1), (gap * beyond).sum(-1)
        head, tail = head / (head + tail), tail / (head + tail)
    forward, reverse = (log_q.exp() * (log_q - log_p)).sum(-1), (log_p.exp() * (log_p - log_q)).sum(-1)
    mask = (labels != IGNORED).double()
    return masked_mean(head * forward, mask) + masked_mean(tail * reverse, mask)


# ---------------------------------------------------------------------------------------------------------------------
# TGPO
# ---------------------------------------------------------------------------------------------------------------------

def surrogate(b, clip, advantages=None, by_length=False):
    """PPO's clipped surrogate; clip = None leaves the ratio alone; by_length divides by the padded length alone."""
    advantages = b.advantages if advantages is None else advantages
    ratio = (b.log_prob(b.tokens) - b.old_log_probs).exp()
    losses = -advantages * ratio
    if clip is not None:
        losses = torch.maximum(losses, -advantages * ratio.clamp(1 - clip, 1 + clip))
    return (losses * b.mask).sum() / b.mask.shape[-1] if by_length else masked_mean(losses, b.mask)


def tgpo_loss(b, clip, coefficient, kind="forward", by_length=False, alone=False):
    """The guidance on the teacher's token is a masked mean, also where the surrogate is divided by the length."""
    if kind == "forward":
        regulariser = -masked_mean(b.log_prob(b.teacher_tokens), b.mask)
    else:
        log_p = b.log_prob(b.tokens)
        log_ratio = log_p - b.teacher_log_prob
        regulariser = masked_mean({"reverse_k1": log_ratio.detach() * log_p,
                                   "reverse_k2": 0.5 * log_ratio**2,
                                   "reverse_k3": torch.exp(-log_ratio) - 1 + log_ratio}[kind], b.mask)
    return coefficient * regulariser + (0 if alone else surrogate(b, clip, by_length=by_length))


def kdrl_loss(b, clip, coefficient, subtracted=False):
    divergence = masked_mean(0.5 * (b.teacher_log_prob - b.log_prob(b.tokens)) ** 2, b.mask)
    return surrogate(b, clip) + (-coefficient if subtracted else coefficient) * divergence


def rkl_loss(b):
    """The advantage is the log-ratio of the teacher to the student that sampled the token."""
    return surrogate(b, None, (b.teacher_log_prob - b.old_log_probs) * b.mask)


def centered_rkl_loss(b):
    """On policy the old student is the present one. top-k is the whole vocabulary; below, p is not renormalised."""
    b.old_log_probs = b.log_prob(b.tokens).detach()
    with torch.no_grad():
        log_p, log_q = torch.log_softmax(b.student, -1), torch.log_softmax(b.teacher, -1)
        top, ids = log_p.topk(log_p.shape[-1], dim=-1)
        baseline = (top.exp() * (log_q.gather(-1, ids) - top)).sum(-1)
        advantages = ((b.teacher_log_prob - b.old_log_probs) * b.mask - baseline) * b.mask
    return surrogate(b, None, advantages)
