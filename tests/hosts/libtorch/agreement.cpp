// Losses and gradients against LibTorch's own autograd of the same formula.
#include <hosts/libtorch/formulas.hpp>

#include <cstdint>
#include <utility>
#include <vector>

using distill::torch_fields, distill::torch_loss, distill::torch_per_token, distill::torch_value_and_gradient;
using distill_test::distance, distill_test::forward, distill_test::forward_rows, distill_test::gradient_of,
    distill_test::gradient_tolerance, distill_test::leaf, distill_test::loss_tolerance, distill_test::mixed,
    distill_test::mixed_rows;

namespace {

at::Tensor random_logits(at::IntArrayRef shape) { return 2.0 * at::randn(shape, at::kDouble); }

// The two within the contract: a loss and its gradient, of a student that is a leaf.
void check_agreement(const at::Tensor& loss, const at::Tensor& reference, const at::Tensor& student) {
    const at::ScalarType type = student.scalar_type();
    const double expected = reference.item<double>();
    DOCTEST_CHECK(std::abs(loss.item<double>() - expected) <= loss_tolerance(type) * std::abs(expected));
    const at::Tensor mine = gradient_of(loss, student);
    DOCTEST_CHECK((mine.scalar_type() == type));
    DOCTEST_CHECK((mine.sizes() == student.sizes()));
    // In double: LibTorch itself would round the reference's gradient to the student's type.
    DOCTEST_CHECK(distance(mine, gradient_of(reference, student)) <= 2 * gradient_tolerance(type));
}

const std::vector<std::pair<at::ScalarType, at::ScalarType>> pairs{
    {at::kDouble, at::kDouble}, {at::kDouble, at::kFloat},      {at::kFloat, at::kFloat},   {at::kHalf, at::kHalf},
    {at::kHalf, at::kFloat},    {at::kBFloat16, at::kBFloat16}, {at::kBFloat16, at::kFloat}};

}  // namespace

DOCTEST_TEST_CASE("every pair of element types agrees with LibTorch's autograd, with a factor and another loss on top") {
    at::manual_seed(1);
    for (const auto& [of_student, of_teacher] : pairs) {
        DOCTEST_CAPTURE(std::string(at::toString(of_student)));
        DOCTEST_CAPTURE(std::string(at::toString(of_teacher)));
        const at::Tensor student = leaf(random_logits({2, 3, 1001}), of_student);
        const at::Tensor teacher = random_logits({2, 3, 1001}).to(of_teacher);
        const at::Tensor own = torch_loss(mixed, student, teacher);
        DOCTEST_CHECK((own.scalar_type() == (of_student == at::kDouble ? at::kDouble : at::kFloat)));
        DOCTEST_CHECK(own.dim() == 0);
        check_agreement(own, mixed_rows(student, teacher).mean(), student);
        check_agreement(3.0 * own, 3.0 * mixed_rows(student, teacher).mean(), student);
        check_agreement(torch_loss(forward, student, teacher), forward_rows(student, teacher).mean(), student);
        const at::Tensor other = 0.1 * student.to(at::kDouble).square().mean();
        check_agreement(0.5 * own + other, 0.5 * mixed_rows(student, teacher).mean() + other, student);
    }
}

DOCTEST_TEST_CASE("weights of any real type and labels of any integer type, of the leading shape or flat") {
    at::manual_seed(2);
    const at::Tensor student = leaf(random_logits({2, 4, 33}), at::kFloat),
                     teacher = random_logits({2, 4, 33}).to(at::kFloat);
    const at::Tensor mask = at::tensor({1, 1, 0, 1, 1, 0, 0, 1}).view({2, 4});
    const at::Tensor reference = (mixed_rows(student, teacher) * mask).sum() / mask.sum();
    for (const at::ScalarType type :
         {at::kBool, at::kByte, at::kInt, at::kLong, at::kHalf, at::kBFloat16, at::kFloat, at::kDouble}) {
        DOCTEST_CAPTURE(std::string(at::toString(type)));
        check_agreement(torch_loss(mixed, student, teacher, {.weights = mask.to(type)}), reference, student);
        check_agreement(torch_loss(mixed, student, teacher, {.weights = mask.to(type).flatten()}), reference, student);
    }
    // Not contiguous, as a mask that is a column of something.
    const at::Tensor strided = at::stack({mask, mask}, -1).to(at::kFloat).select(-1, 0);
    check_agreement(torch_loss(mixed, student, teacher, {.weights = strided}), reference, student);

    const at::Tensor weights = at::rand({2, 4});
    check_agreement(torch_loss(mixed, student, teacher, {.weights = weights}),
                    (mixed_rows(student, teacher) * weights).sum() / weights.sum(), student);

    const distill::loss labelled{distill::cross_entropy{}, distill::eigen{distill::torch_threads{}}, distill::token_mean{}};
    const at::Tensor labels = at::tensor({3, 0, -100, 31, 7, -100, 2, 1}).view({2, 4});
    const at::Tensor expected =
        at::nll_loss(student.to(at::kDouble).log_softmax(-1).flatten(0, 1), labels.flatten().to(at::kLong));
    for (const at::ScalarType type : {at::kChar, at::kShort, at::kInt, at::kLong})
        check_agreement(torch_loss(labelled, student, {}, {.labels = labels.to(type)}), expected, student);
}

DOCTEST_TEST_CASE("any number of leading dimensions and any strides have the bits of compact rows") {
    at::manual_seed(3);
    const std::int64_t vocabulary = 97;
    const at::Tensor plain = random_logits({6, vocabulary}).to(at::kFloat),
                     flat = random_logits({6, vocabulary}).to(at::kFloat);
    const auto run = [](const at::Tensor& z, const at::Tensor& w) {
        const at::Tensor student = z.detach().requires_grad_(true), loss = torch_loss(mixed, student, w);
        return std::pair(loss, gradient_of(loss, student).reshape({6, -1}));
    };
    const auto [loss, gradient] = run(plain, flat);
    const auto same = [&](const at::Tensor& z, const at::Tensor& w) {
        const auto [other, of_other] = run(z, w);
        DOCTEST_CHECK(at::equal(other, loss));
        DOCTEST_CHECK(at::equal(of_other, gradient));
    };
    for (const std::vector<std::int64_t>& leading :
         {std::vector<std::int64_t>{6}, {2, 3}, {1, 6}, {3, 1, 2}, {1, 2, 1, 3, 1}}) {
        std::vector<std::int64_t> shape = leading;
        shape.push_back(vocabulary);
        const at::Tensor z = plain.view(shape), w = flat.view(shape);
        same(z, w);
        // Padded columns; every second column; the vocabulary outermost in memory.
        const auto padded = [&](const at::Tensor& t) {
            return at::constant_pad_nd(t, {0, 7}, NAN).narrow(-1, 0, vocabulary);
        };
        const auto sparse = [&](const at::Tensor& t) { return at::stack({t, at::full_like(t, NAN)}, -1).select(-1, 0); };
        const auto turned = [&](const at::Tensor& t) { return t.movedim(-1, 0).contiguous().movedim(0, -1); };
        for (const auto& [first, second] : {std::pair(padded(z), w),
                                            {z, padded(w)},
                                            {sparse(z), w},
                                            {z, sparse(w)},
                                            {turned(z), turned(w)},
                                            {padded(z), sparse(w)}})
            same(first, second);
    }
    // The first steps of a longer sequence, of which no stride makes rows.
    const at::Tensor longer = at::constant_pad_nd(plain.view({2, 3, vocabulary}), {0, 0, 0, 2}, NAN).narrow(1, 0, 3);
    DOCTEST_CHECK_FALSE(longer.is_contiguous());
    same(longer, flat.view({2, 3, vocabulary}));
    // One row of the teacher for all.
    const at::Tensor row = random_logits({1, vocabulary}).to(at::kFloat);
    const auto [of_expanded, g] = run(plain, row.expand({6, vocabulary}));
    const auto [of_repeated, h] = run(plain, row.repeat({6, 1}));
    DOCTEST_CHECK(at::equal(of_expanded, of_repeated));
    DOCTEST_CHECK(at::equal(g, h));
}

DOCTEST_TEST_CASE("losses per row have the gradient that comes back for their own row") {
    at::manual_seed(4);
    for (const auto& [of_student, of_teacher] : pairs) {
        DOCTEST_CAPTURE(std::string(at::toString(of_student)));
        const at::Tensor student = leaf(random_logits({2, 3, 57}), of_student);
        const at::Tensor teacher = random_logits({2, 3, 57}).to(of_teacher);
        // Of both signs, and of very different size: another row's factor would show.
        const at::Tensor factors = at::tensor({1.0, -2.0, 0.0, 300.0, 0.25, -0.01}, at::kDouble).view({2, 3});
        const at::Tensor mine = torch_per_token(mixed, student, teacher), reference = mixed_rows(student, teacher);
        DOCTEST_CHECK((mine.sizes() == reference.sizes()));
        DOCTEST_CHECK(distance(mine, reference) <= loss_tolerance(of_student));
        const at::Tensor found = gradient_of((mine * factors).sum(), student);
        const at::Tensor expected = gradient_of((reference * factors).sum(), student);
        DOCTEST_CHECK((found.scalar_type() == of_student));
        for (std::int64_t row = 0; row < 6; ++row) {
            const at::Tensor a = found.view({6, -1})[row], b = expected.view({6, -1})[row];
            if (row == 2)
                DOCTEST_CHECK(a.abs().max().item<double>() == 0.0);
            else
                DOCTEST_CHECK(distance(a, b) <= 2 * gradient_tolerance(of_student));
        }
        DOCTEST_CHECK(distance(gradient_of(mixed_rows(student, teacher).mean(), student),
                               gradient_of(torch_per_token(mixed, student, teacher).mean(), student)) <=
                      2 * gradient_tolerance(of_student));
    }
}

DOCTEST_TEST_CASE("a weight masks its row of the losses per row and does no more") {
    at::manual_seed(5);
    const at::Tensor student = leaf(random_logits({4, 20}), at::kDouble), teacher = random_logits({4, 20});
    const at::Tensor weights = at::tensor({2.0, 0.0, 0.25, 1e300}, at::kDouble);
    const at::Tensor losses = torch_per_token(mixed, student, teacher, {.weights = weights});
    const at::Tensor expected = mixed_rows(student, teacher) * weights.ne(0.0);
    DOCTEST_CHECK(losses[1].item<double>() == 0.0);
    DOCTEST_CHECK(distance(losses, expected) <= distill_test::tolerance::rounding);
    DOCTEST_CHECK(distance(gradient_of(losses.sum(), student), gradient_of(expected.sum(), student)) <=
                  distill_test::tolerance::rounding);
    DOCTEST_CHECK(distill_test::refusal([&] { return torch_per_token(mixed, student, teacher, {.weights = -weights}); }) ==
                  "distill: batch.weights[0] is -2, expected a finite number of at least 0");
    const at::Tensor infinite = weights * std::numeric_limits<double>::infinity();
    DOCTEST_CHECK(distill_test::refusal([&] {
                      return torch_per_token(mixed, student, teacher, {.weights = infinite});
                  }).starts_with("distill: batch.weights[0] is "));
}

DOCTEST_TEST_CASE("value and gradient without autograd are those of autograd, and constants") {
    at::manual_seed(6);
    for (const auto& [of_student, of_teacher] : pairs) {
        const at::Tensor student = leaf(random_logits({2, 3, 64}), of_student);
        const at::Tensor teacher = random_logits({2, 3, 64}).to(of_teacher);
        const at::Tensor weights = at::tensor({1.0f, 0.0f, 1.0f, 0.5f, 0.0f, 1.0f}).view({2, 3});
        const at::Tensor before = student.detach().clone();
        distill::loss_result counts;
        const at::Tensor loss = torch_loss(mixed, student, teacher, {.weights = weights}, &counts);
        const auto [result, gradient] = torch_value_and_gradient(mixed, student, teacher, {.weights = weights});
        DOCTEST_CHECK(result.value == counts.value);
        DOCTEST_CHECK(loss.item<double>() == (of_student == at::kDouble ? result.value : static_cast<float>(result.value)));
        DOCTEST_CHECK(result.active_rows == 4);
        DOCTEST_CHECK(result.denominator == 3.5);
        DOCTEST_CHECK((gradient.scalar_type() == (of_student == at::kHalf ? at::kFloat : of_student)));
        DOCTEST_CHECK_FALSE(gradient.requires_grad());
        DOCTEST_CHECK(at::equal(gradient.to(of_student), gradient_of(loss, student)));
        DOCTEST_CHECK(at::equal(student, before));
        DOCTEST_CHECK(gradient.view({6, -1})[1].abs().max().item<double>() == 0.0);
        // Nothing is differentiated where nothing is to be.
        const at::NoGradGuard constant;
        const at::Tensor value = torch_loss(mixed, student, teacher, {.weights = weights});
        DOCTEST_CHECK_FALSE(value.requires_grad());
        DOCTEST_CHECK(at::equal(value, loss));
    }
}

DOCTEST_TEST_CASE("a gradient of half keeps what only the loss scale lifts into half's range") {
    at::manual_seed(7);
    const at::Tensor student = leaf(random_logits({256, 4096}), at::kHalf);
    const at::Tensor teacher = random_logits({256, 4096}).to(at::kHalf);
    const at::Tensor reference = gradient_of(65536.0 * mixed_rows(student, teacher).mean(), student);
    const at::Tensor scaled = gradient_of(65536.0 * torch_loss(mixed, student, teacher), student);
    DOCTEST_CHECK(distance(scaled, reference) <= 2 * gradient_tolerance(at::kHalf));
    // Entries that are lost where half comes before the scale.
    const at::Tensor lost = gradient_of(torch_loss(mixed, student, teacher), student).eq(0).logical_and(reference.ne(0));
    DOCTEST_CHECK(lost.sum().item<std::int64_t>() > 1000);
    DOCTEST_CHECK(lost.logical_and(scaled.eq(0)).sum().item<std::int64_t>() == 0);
}

DOCTEST_TEST_CASE("a row that is not finite is NaN and disturbs no other row's gradient") {
    at::manual_seed(8);
    const at::Tensor values = random_logits({3, 40}).to(at::kFloat), teacher = random_logits({3, 40}).to(at::kFloat);
    const at::Tensor sound = leaf(values, at::kFloat);
    const at::Tensor expected = gradient_of(torch_loss(mixed, sound, teacher), sound);
    values[1][7] = std::numeric_limits<float>::infinity();
    const at::Tensor student = leaf(values, at::kFloat);
    distill::loss_result counts;
    const at::Tensor loss = torch_loss(mixed, student, teacher, {}, &counts), gradient = gradient_of(loss, student);
    DOCTEST_CHECK(std::isnan(loss.item<float>()));
    DOCTEST_CHECK(counts.nonfinite_rows == 1);
    DOCTEST_CHECK(gradient[1].isnan().all().item<bool>());
    for (const std::int64_t row : {0, 2}) DOCTEST_CHECK(at::equal(gradient[row], expected[row]));
}
