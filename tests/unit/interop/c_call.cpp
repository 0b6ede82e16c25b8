#include <distill/interop/c_call.hpp>

#include <distill/distill.hpp>

#include <dlpack/dlpack.h>
#include <Eigen/Core>

#include <support/comparisons.hpp>
#include <support/tolerances.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using distill::c_call, distill::c_tensor, distill::run_c_call, distill::run_c_call_per_row;

// A DLTensor is a c_tensor.
static_assert(sizeof(c_tensor) == sizeof(DLTensor));
static_assert(offsetof(c_tensor, data) == offsetof(DLTensor, data));
static_assert(offsetof(c_tensor, device_type) == offsetof(DLTensor, device));
static_assert(offsetof(c_tensor, ndim) == offsetof(DLTensor, ndim));
static_assert(offsetof(c_tensor, code) == offsetof(DLTensor, dtype));
static_assert(offsetof(c_tensor, bits) == offsetof(DLTensor, dtype) + 1);
static_assert(offsetof(c_tensor, lanes) == offsetof(DLTensor, dtype) + 2);
static_assert(offsetof(c_tensor, shape) == offsetof(DLTensor, shape));
static_assert(offsetof(c_tensor, strides) == offsetof(DLTensor, strides));
static_assert(offsetof(c_tensor, byte_offset) == offsetof(DLTensor, byte_offset));

namespace {

const distill::loss f{0.7 * distill::reverse_kl{} + 0.3 * distill::jensen_shannon{0.5}, distill::eigen{},
                      distill::token_mean{}};

template <class Element>
c_tensor tensor(std::vector<Element>& values, const std::vector<std::int64_t>& shape) {
    const bool floating = std::is_floating_point_v<Element>;
    return {values.data(),
            kDLCPU,
            0,
            static_cast<std::int32_t>(shape.size()),
            static_cast<std::uint8_t>(floating ? kDLFloat : kDLInt),
            8 * sizeof(Element),
            1,
            shape.data(),
            nullptr,
            0};
}

struct arguments {
    std::vector<const char*> names;
    std::vector<const c_tensor*> tensors;

    arguments(std::initializer_list<std::pair<const char*, const c_tensor*>> given) {
        for (const auto& [name, tensor] : given) {
            names.push_back(name);
            tensors.push_back(tensor);
        }
    }
    [[nodiscard]] c_call call() const {
        return {.count = static_cast<std::int64_t>(names.size()),
                .names = names.data(),
                .tensors = tensors.data(),
                .threads = 1,
                .parallel_for = nullptr,
                .value = -1.0,
                .denominator = -1.0,
                .active_rows = -1,
                .nonfinite_rows = -1,
                .clipped_rows = -1,
                .guarded_rows = -1,
                .message = {}};
    }
};

std::vector<float> random_logits(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& v : values) v = 2.0f * normal(random);
    return values;
}

const std::vector<std::int64_t> shape{2, 3, 50}, rows_shape{2, 3};

}  // namespace

TEST_CASE("a call through C has the bits of the call in C++") {
    std::vector<float> z = random_logits(1, 300), w = random_logits(2, 300), weights{1, 0, 1, 0.5f, 2, 1};
    std::vector<float> gradient(300, -1.0f), expected(300);
    const c_tensor student = tensor(z, shape), teacher = tensor(w, shape), mask = tensor(weights, rows_shape),
                   out = tensor(gradient, shape);
    const distill::batch<float> in{.student = {z.data(), 6, 50}, .teacher = {w.data(), 6, 50}, .weights = weights};
    const distill::loss_result result = f(in, {expected.data(), 6, 50});
    const arguments given{
        {"student", &student}, {"teacher", &teacher}, {"weights", &mask}, {"gradient", &out}, {"labels", nullptr}};
    c_call call = given.call();
    CHECK(run_c_call<Eigen::half, Eigen::bfloat16>(f, call) == 0);
    CHECK(std::string(call.message).empty());
    CHECK(call.value == result.value);
    CHECK(call.denominator == 5.5);
    CHECK(call.active_rows == 5);
    CHECK(gradient == expected);

    const arguments value_only{{"student", &student}, {"teacher", &teacher}, {"weights", &mask}};
    c_call second = value_only.call();
    CHECK(run_c_call<Eigen::half, Eigen::bfloat16>(f, second) == 0);
    CHECK(second.value == result.value);
}

TEST_CASE("losses per row, and each row's own gradient") {
    std::vector<float> z = random_logits(3, 300), w = random_logits(4, 300), gradient(300), expected(300);
    std::vector<double> losses(6);
    std::vector<float> narrow(6);
    const c_tensor student = tensor(z, shape), teacher = tensor(w, shape), out = tensor(gradient, shape),
                   wide_rows = tensor(losses, rows_shape), narrow_rows = tensor(narrow, rows_shape);
    const distill::loss of_rows = f.reduced_by(distill::token_sum{});
    of_rows(distill::batch<float>{.student = {z.data(), 6, 50}, .teacher = {w.data(), 6, 50}}, {expected.data(), 6, 50});
    const arguments given{{"student", &student}, {"teacher", &teacher}, {"gradient", &out}, {"row_losses", &wide_rows}};
    c_call call = given.call();
    CHECK(run_c_call_per_row<Eigen::half, Eigen::bfloat16>(f, call) == 0);
    CHECK(gradient == expected);
    CHECK(distill_test::deviation(call.value, losses[0] + losses[1] + losses[2] + losses[3] + losses[4] + losses[5]) <=
          distill_test::tolerance::rounding);
    const arguments in_float{{"student", &student}, {"teacher", &teacher}, {"row_losses", &narrow_rows}};
    c_call second = in_float.call();
    CHECK(run_c_call_per_row<Eigen::half, Eigen::bfloat16>(f, second) == 0);
    for (std::size_t i = 0; i < 6; ++i) CHECK(narrow[i] == static_cast<float>(losses[i]));
    const arguments nowhere{{"student", &student}, {"teacher", &teacher}};
    c_call third = nowhere.call();
    CHECK(run_c_call_per_row<Eigen::half, Eigen::bfloat16>(f, third) == 1);
    CHECK(third.message == std::string("distill: row_losses is missing"));
}

TEST_CASE("a refusal is a message, and leaves the outputs as they are") {
    std::vector<float> z = random_logits(5, 300), w = random_logits(6, 300), gradient(300, -1.0f);
    const c_tensor student = tensor(z, shape), teacher = tensor(w, shape), out = tensor(gradient, shape);
    const auto message = [&](std::pair<const char*, const c_tensor*> changed) {
        arguments given{{"student", &student}, {"teacher", &teacher}, {"gradient", &out}, changed};
        c_call call = given.call();
        CHECK(run_c_call<Eigen::half, Eigen::bfloat16>(f, call) == 1);
        CHECK(call.value == -1.0);
        CHECK(gradient == std::vector<float>(300, -1.0f));
        return std::string(call.message);
    };
    c_tensor changed = teacher;
    changed.device_type = kDLCUDA;
    CHECK(message({"teacher", &changed}) ==
          "distill: batch.teacher is on a device of type 2, expected memory that the processor reads");
    changed = teacher;
    changed.code = kDLComplex;
    CHECK(message({"teacher", &changed}) ==
          "distill: batch.teacher has elements of type code 5 of bits 32, expected float32, float64, float16 or bfloat16");
    changed = teacher;
    changed.ndim = 1;
    CHECK(message({"teacher", &changed}) ==
          "distill: batch.teacher has 1 dimensions, expected 2 to 8, the last one the vocabulary");
    changed = teacher;
    changed.shape = nullptr;
    CHECK(message({"teacher", &changed}).starts_with("distill: batch.teacher has 0 dimensions"));
    changed = teacher;
    changed.data = nullptr;
    CHECK(message({"teacher", &changed}) == "distill: batch.teacher has 300 elements and a null pointer");
    CHECK(message({"wights", &teacher}) == "distill: a batch has no field wights");
    std::vector<float> weights(6, -1.0f);
    const c_tensor negative = tensor(weights, rows_shape);
    CHECK(message({"weights", &negative}) == "distill: batch.weights[0] is -1, expected a finite number of at least 0");

    using pair = distill::detail::one_pair<distill::detail::element_type::float64, distill::detail::element_type::float64>;
    arguments given{{"student", &student}, {"teacher", &teacher}};
    c_call call = given.call();
    CHECK(run_c_call<Eigen::half, Eigen::bfloat16, pair>(f, call) == 1);
    CHECK(call.message ==
          std::string("distill: this loss is not compiled for a student of float32 and a teacher of float32"));
}

TEST_CASE("the host's loop runs the rows, and one that fails is no loss") {
    static int calls;
    calls = 0;
    const distill::c_parallel_for backwards = [](std::int64_t begin, std::int64_t end, std::int64_t, auto run,
                                                 void* context) {
        ++calls;
        for (std::int64_t i = end; i-- > begin;) run(i, i + 1, context);
        return 0;
    };
    std::vector<float> z = random_logits(7, 300), w = random_logits(8, 300);
    const distill::batch<float> in{.student = {z.data(), 6, 50}, .teacher = {w.data(), 6, 50}};
    const distill::loss on_host{distill::forward_kl{}, distill::eigen{distill::c_threads{backwards}}, distill::token_mean{}};
    const distill::loss serial{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    CHECK(on_host(in).value == serial(in).value);
    CHECK(calls == 1);

    const c_tensor student = tensor(z, shape), teacher = tensor(w, shape);
    const distill::c_parallel_for fails = [](std::int64_t, std::int64_t, std::int64_t, auto, void*) { return 1; };
    const distill::loss nowhere{distill::forward_kl{}, distill::eigen{distill::c_threads{fails}}, distill::token_mean{}};
    const arguments given{{"student", &student}, {"teacher", &teacher}};
    c_call call = given.call();
    CHECK(run_c_call<Eigen::half, Eigen::bfloat16>(nowhere, call) == 1);
    CHECK(call.message == std::string("distill: the host's loop failed"));
}

TEST_CASE("a message that is longer than its place is cut") {
    const std::string name(3000, 'x');
    c_tensor any{};
    const arguments given{{name.c_str(), &any}};
    c_call call = given.call();
    CHECK(run_c_call<Eigen::half, Eigen::bfloat16>(f, call) == 1);
    CHECK(std::string(call.message).size() == sizeof(call.message) - 1);
}
