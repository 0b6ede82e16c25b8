"""A loss of two arrays and its gradient."""

import numpy as np

import distill.numpy

student = np.linspace(-2, 2, 2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
teacher = 2 * np.sin(student)
mask = np.array([[1, 1, 0], [1, 0, 0]])

loss = distill.numpy.loss("0.7 * reverse_kl{} + 0.3 * jensen_shannon{0.5}")
value, gradient = loss(student, teacher, weights=mask)
print(f"loss {value:.6f}, largest gradient {abs(gradient).max():.6f}")

losses, gradients = loss.per_token(student, teacher, weights=mask)
print(f"losses of the rows, {losses.shape}: sum {losses.sum():.6f}")

counts = {}
loss.value(student, teacher, weights=mask, counts=counts)
print(f"{counts['active_rows']} rows")

own = distill.numpy.loss(
    "squared_difference{}",
    definitions="""
        struct squared_difference : distill::term<squared_difference> {
            template <class T>
            constexpr distill::summand<T> operator()(const distill::entry<T>& e) const {
                const T d = e.p - e.q;
                return {.value = d * d, .dlogp = T(2.0) * d * e.p};
            }
        };
    """,
)
print(f"a divergence of one's own {own.value(student, teacher, weights=mask):.6f}")
