"""A step of training: a distillation loss beside a cross-entropy."""

import torch

import distill.torch

student_logits = torch.linspace(-2, 2, 2 * 3 * 5).view(2, 3, 5).requires_grad_()
teacher_logits = 2 * student_logits.detach().sin()
mask = torch.tensor([[1, 1, 0], [1, 0, 0]], dtype=torch.bool)
labels = torch.tensor([4, 1, 0, 2, 3, 0])

loss = distill.torch.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}")
l = loss(student_logits, teacher_logits, weights=mask)
ce = torch.nn.functional.cross_entropy(student_logits.flatten(0, 1), labels)
(0.5 * l + ce).backward()
print(f"loss {l.item():.6f}, largest gradient {student_logits.grad.abs().max().item():.6f}")

losses = loss.per_token(student_logits, teacher_logits, weights=mask)
(losses * mask).sum().backward()

counts = {}
value, gradient = loss.value_and_gradient(student_logits, teacher_logits, weights=mask, counts=counts)
print(f"loss {value:.6f} over {counts['active_rows']} rows, largest gradient {gradient.abs().max().item():.6f}")

# From hidden states: the logits exist for 256 rows at a time.
student_hidden, student_weight = torch.ones(2, 3, 4, requires_grad=True), torch.linspace(-1, 1, 20).view(5, 4).requires_grad_()
teacher_hidden, teacher_weight = torch.ones(2, 3, 8), torch.linspace(1, -2, 40).view(5, 8)
lin = distill.torch.linear_loss(loss, chunk=256)
lin(student_hidden, student_weight, teacher_hidden, teacher_weight, weights=mask).backward()
print(f"largest gradient of the weight {student_weight.grad.abs().max().item():.6f}")
