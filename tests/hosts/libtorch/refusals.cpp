// What a loss does not do, it refuses with one sentence.
#include <hosts/libtorch/formulas.hpp>

#include <string>

using distill::torch_loss, distill::torch_per_token, distill::torch_value_and_gradient;
using distill_test::gradient_of, distill_test::leaf, distill_test::mixed, distill_test::refusal;

namespace {

const std::string constant = " asks for a gradient, and a loss gives one to batch.student alone: detach it";

struct logits {
    at::Tensor student = at::randn({2, 3, 20}).requires_grad_(true);
    at::Tensor teacher = at::randn({2, 3, 20});
};

}  // namespace

DOCTEST_TEST_CASE("backward runs twice with retain_graph, and the gradient that is kept does not change") {
    const logits of;
    const at::Tensor loss = torch_loss(mixed, of.student, of.teacher),
                     expected = gradient_of(torch_loss(mixed, of.student, of.teacher), of.student);
    (2.0 * loss).backward({}, true);
    DOCTEST_CHECK(at::allclose(of.student.grad(), 2.0 * expected));
    loss.backward({}, true);
    DOCTEST_CHECK(at::allclose(of.student.grad(), 3.0 * expected));
    loss.backward();
    DOCTEST_CHECK(at::allclose(of.student.grad(), 4.0 * expected));
    DOCTEST_CHECK(refusal([&] { return loss.backward(), 0; }) != "accepted");

    // A gradient that was handed out and changed is not handed out again: LibTorch's own check finds the change.
    const at::Tensor student = of.student.detach().requires_grad_(true), again = torch_loss(mixed, student, of.teacher);
    torch::autograd::grad({again}, {student}, {}, true)[0].detach().clone().zero_();
    DOCTEST_CHECK(at::equal(torch::autograd::grad({again}, {student})[0], expected));
}

DOCTEST_TEST_CASE("a second derivative is refused, never a silent zero") {
    const std::string sentence =
        "distill: a loss is differentiated once, and its gradient is a constant: call backward without create_graph";
    const logits of;
    for (const at::Tensor& loss :
         {torch_loss(mixed, of.student, of.teacher), torch_per_token(mixed, of.student, of.teacher).sum()}) {
        DOCTEST_CHECK(refusal([&] { return torch::autograd::grad({loss}, {of.student}, {}, true, true); }) == sentence);
        DOCTEST_CHECK(refusal([&] { return loss.backward({}, true, true), 0; }) == sentence);
        loss.backward();
    }
}

DOCTEST_TEST_CASE("a teacher or a field that asks for a gradient is refused, and one that is detached is not") {
    const logits of;
    const at::Tensor teacher = of.teacher.clone().requires_grad_(true), weights = at::rand({2, 3}).requires_grad_(true);
    DOCTEST_CHECK(refusal([&] { return torch_loss(mixed, of.student, teacher); }) == "distill: batch.teacher" + constant);
    DOCTEST_CHECK(refusal([&] { return torch_per_token(mixed, of.student, teacher); }) ==
                  "distill: batch.teacher" + constant);
    DOCTEST_CHECK(refusal([&] { return torch_loss(mixed, of.student.detach(), teacher); }) ==
                  "distill: batch.teacher" + constant);
    // One that would have been copied, too.
    DOCTEST_CHECK(refusal([&] {
                      return torch_loss(mixed, of.student, teacher.transpose(0, 1).contiguous().transpose(0, 1));
                  }) == "distill: batch.teacher" + constant);
    for (const auto& fields :
         {distill::torch_fields{.weights = weights}, {.weights = weights.transpose(0, 1).contiguous().transpose(0, 1)}}) {
        DOCTEST_CHECK(refusal([&] { return torch_loss(mixed, of.student, of.teacher, fields); }) ==
                      "distill: batch.weights" + constant);
        DOCTEST_CHECK(refusal([&] { return torch_per_token(mixed, of.student, of.teacher, fields); }) ==
                      "distill: batch.weights" + constant);
    }
    DOCTEST_CHECK(refusal([&] { return torch_loss(mixed, of.student, teacher.detach()); }) == "accepted");
    const at::NoGradGuard nothing;
    DOCTEST_CHECK(refusal([&] { return torch_loss(mixed, of.student, teacher); }) == "accepted");
}

DOCTEST_TEST_CASE("unequal shapes, other types, devices and layouts are refused before anything is read") {
    const logits of;
    const auto teacher_of = [&](const at::Tensor& teacher) {
        return refusal([&] { return torch_loss(mixed, of.student, teacher); });
    };
    const std::string student = ", batch.student has [2, 3, 20]";
    DOCTEST_CHECK(teacher_of(at::randn({2, 3, 21})) == "distill: batch.teacher has the shape [2, 3, 21]" + student);
    DOCTEST_CHECK(teacher_of(at::randn({3, 2, 20})) == "distill: batch.teacher has the shape [3, 2, 20]" + student);
    DOCTEST_CHECK(teacher_of(at::randn({6, 20})) == "distill: batch.teacher has the shape [6, 20]" + student);
    DOCTEST_CHECK(teacher_of(at::randn({1, 1, 20})) == "distill: batch.teacher has the shape [1, 1, 20]" + student);
    DOCTEST_CHECK(teacher_of({}) == "distill: reverse_kl needs batch.teacher, which is empty");
    DOCTEST_CHECK(teacher_of(at::randn({2, 3, 20}).to(at::kHalf)) ==
                  "distill: batch.teacher has elements of type float16, expected float32, for batch.student has float32");
    DOCTEST_CHECK(teacher_of(at::ones({2, 3, 20}, at::kLong)) ==
                  "distill: batch.teacher has elements of type int64, expected float32, float64, float16 or bfloat16");
    DOCTEST_CHECK(
        teacher_of(at::randn({2, 3, 20}, at::kComplexFloat)) ==
        "distill: batch.teacher has elements of type ComplexFloat, expected float32, float64, float16 or bfloat16");
    DOCTEST_CHECK(teacher_of(at::empty({2, 3, 20}, at::device(at::kMeta))) ==
                  "distill: batch.teacher is on meta, expected memory that the processor reads");
    DOCTEST_CHECK(
        teacher_of(at::randn({2, 3, 20}).to_sparse()) ==
        "distill: batch.teacher has elements of type Float of a layout without strides, expected float32, float64, "
        "float16 or bfloat16");

    const auto student_of = [&](const at::Tensor& z) { return refusal([&] { return torch_loss(mixed, z, of.teacher); }); };
    DOCTEST_CHECK(student_of({}) == "distill: batch.student is missing");
    DOCTEST_CHECK(student_of(at::randn({20}).requires_grad_(true)) ==
                  "distill: batch.student has 1 dimensions, expected 2 to 8, the last one the vocabulary");
    DOCTEST_CHECK(student_of(at::randn({1, 1, 1, 1, 1, 1, 2, 3, 20})) ==
                  "distill: batch.student has 9 dimensions, expected 2 to 8, the last one the vocabulary");
    DOCTEST_CHECK(student_of(at::empty({2, 3, 20}, at::device(at::kMeta)).requires_grad_(true)) ==
                  "distill: batch.student is on meta, expected memory that the processor reads");
    DOCTEST_CHECK(refusal([&] { return torch_value_and_gradient(mixed, {}, of.teacher).gradient; }) ==
                  "distill: batch.student is missing");

    const auto fields_of = [&](const distill::torch_fields& fields) {
        return refusal([&] { return torch_loss(mixed, of.student, of.teacher, fields); });
    };
    DOCTEST_CHECK(fields_of({.weights = at::ones({3, 2})}) ==
                  "distill: batch.weights has the shape [3, 2], expected [2, 3] or [6]");
    DOCTEST_CHECK(fields_of({.weights = at::ones({2, 3}, at::kComplexFloat)}) ==
                  "distill: batch.weights has elements of type ComplexFloat, expected float32 or float64");
    DOCTEST_CHECK(fields_of({.labels = at::ones({2, 3})}) ==
                  "distill: batch.labels has elements of type float32, expected int32 or int64");
    DOCTEST_CHECK(fields_of({.labels = at::full({2, 3}, 20, at::kLong)}) ==
                  "distill: batch.labels[0] is 20, expected a token id in [0, 20)");
    DOCTEST_CHECK(fields_of({.weights = at::scalar_tensor(1.0)}) ==
                  "distill: batch.weights has 0 dimensions, expected 1 to 8");
}

DOCTEST_TEST_CASE("a batch of no rows has the loss 0 and an empty gradient") {
    const at::Tensor student = at::empty({0, 3, 20}).requires_grad_(true),
                     loss = torch_loss(mixed, student, at::empty({0, 3, 20}));
    DOCTEST_CHECK(loss.item<float>() == 0.0f);
    DOCTEST_CHECK((gradient_of(loss, student).sizes() == student.sizes()));
}
