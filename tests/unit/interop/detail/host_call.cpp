#include <distill/interop/detail/host_call.hpp>

#include <Eigen/Core>

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

using distill::batch, distill::logits_view, distill::detail::axes_of, distill::detail::compact_axes,
    distill::detail::element_type, distill::detail::host_call, distill::detail::host_tensor,
    distill::detail::with_typed_batch;

namespace {

using shape_of = std::vector<std::ptrdiff_t>;

std::array<double, 4096> memory{};  // aligned for every element type

host_tensor tensor(element_type type, const shape_of& shape, const shape_of& strides = {}) {
    const auto length = [&](std::size_t i) { return shape[i]; };
    const auto rank = static_cast<std::ptrdiff_t>(shape.size());
    return {.data = memory.data(),
            .type = type,
            .axes = strides.empty() ? compact_axes(rank, length)
                                    : axes_of(rank, length, [&](std::size_t i) { return strides[i]; }),
            .given = true};
}

host_call call_of(element_type student, element_type teacher, const shape_of& shape = {2, 3, 5}) {
    return {.student = tensor(student, shape), .teacher = tensor(teacher, shape)};
}

std::string refusal(const host_call& call) {
    bool used = false;
    try {
        with_typed_batch<Eigen::half, Eigen::bfloat16>(call, [&](const auto&, const auto&) { used = true; });
    } catch (const std::invalid_argument& error) {
        CHECK_FALSE(used);
        return error.what();
    }
    CHECK(used);
    return "accepted";
}

template <class Change>
std::string refused(const Change& change) {
    host_call call = call_of(element_type::float32, element_type::float32);
    change(call);
    return refusal(call);
}

constexpr element_type logits[] = {element_type::float64, element_type::float32, element_type::float16,
                                   element_type::bfloat16};

template <class Element>
constexpr element_type type_of() {
    return std::same_as<Element, double>        ? element_type::float64
           : std::same_as<Element, float>       ? element_type::float32
           : std::same_as<Element, Eigen::half> ? element_type::float16
                                                : element_type::bfloat16;
}

}  // namespace

TEST_CASE("every element type of logits goes with itself and with a teacher in float32, and no other pair") {
    for (const element_type student : logits)
        for (const element_type teacher : logits) {
            CAPTURE(name_of(student));
            CAPTURE(name_of(teacher));
            host_call call = call_of(student, teacher);
            call.gradient = tensor(gradient_type_of(student), {2, 3, 5});
            if (teacher != student && teacher != element_type::float32) {
                const std::string expected =
                    std::string(name_of(student)) + (student == element_type::float32 ? "" : " or float32");
                CHECK(refusal(call) == "distill: batch.teacher has elements of type " + std::string(name_of(teacher)) +
                                           ", expected " + expected + ", for batch.student has " +
                                           std::string(name_of(student)));
                continue;
            }
            bool used = false;
            with_typed_batch<Eigen::half, Eigen::bfloat16>(
                call, [&]<class S, class T, class G>(const batch<S, T>& in, const logits_view<G>& gradient) {
                    used = true;
                    CHECK(type_of<S>() == student);
                    CHECK(type_of<T>() == teacher);
                    CHECK(type_of<G>() == (student == element_type::float16 ? element_type::float32 : student));
                    CHECK(static_cast<const void*>(in.student.data) == memory.data());
                    CHECK(in.student.rows == 6);
                    CHECK(in.student.vocabulary == 5);
                    CHECK(in.teacher.row_stride == 5);
                    CHECK(gradient.rows == 6);
                });
            CHECK(used);
        }
}

TEST_CASE("what is not given is absent, and any number of leading dimensions are rows") {
    for (const shape_of& shape : {shape_of{6, 5}, {2, 3, 5}, {1, 2, 1, 3, 5}, {1, 1, 1, 1, 2, 3, 1, 5}}) {
        host_call call = call_of(element_type::float32, element_type::float32, shape);
        call.teacher = {};
        with_typed_batch<Eigen::half, Eigen::bfloat16>(call, [&](const auto& in, const auto& gradient) {
            CHECK(in.student.rows == 6);
            CHECK(in.teacher.absent());
            CHECK(gradient.absent());
            for_each_field([](const auto&, const auto& array) { CHECK(array.empty()); }, in);
        });
    }
}

TEST_CASE("every field arrives under its own name, in either width, and of the leading shape or flat") {
    // The k-th field alone: no other one receives it.
    std::size_t fields = 0;
    host_call none = call_of(element_type::float32, element_type::float32);
    distill::for_each_field([&](const auto&, const auto&) { ++fields; }, none.fields);
    CHECK(fields == 13);
    for (std::size_t k = 0; k < fields; ++k)
        for (const bool wide : {false, true})
            for (const bool flat : {false, true}) {
                host_call call = call_of(element_type::float32, element_type::float32);
                std::size_t at = 0;
                std::ptrdiff_t length = 0;
                batch<float> types;
                distill::for_each_field(
                    [&](const distill::batch_field& field, host_tensor& given, const auto& array) {
                        if (at++ != k) return;
                        const bool integers = std::is_same_v<std::remove_cvref_t<decltype(array)>, distill::row_indices>;
                        shape_of shape = flat ? shape_of{6} : shape_of{2, 3};
                        if (field.length == distill::field_length::tokens) shape.push_back(4);
                        if (field.length == distill::field_length::sequences) shape = {3};
                        length = 1;
                        for (const std::ptrdiff_t l : shape) length *= l;
                        given = tensor(integers ? wide ? element_type::int64 : element_type::int32
                                       : wide   ? element_type::float64
                                                : element_type::float32,
                                       shape);
                    },
                    call.fields, types);
                with_typed_batch<Eigen::half, Eigen::bfloat16>(call, [&](const auto& in, const auto&) {
                    std::size_t i = 0;
                    for_each_field(
                        [&](const distill::batch_field&, const auto& array) {
                            const bool here = i++ == k;
                            CHECK(array.size() == (here ? length : 0));
                            if (here) CHECK(array.address() == memory.data());
                            if (here) CHECK(array.element_bytes() == (wide ? 8 : 4));
                        },
                        in);
                });
            }
}

TEST_CASE("strides that one row stride describes are taken as they are, all others are refused") {
    const auto stride = [](const shape_of& shape, const shape_of& strides) {
        std::ptrdiff_t found = 0;
        host_call call{.student = tensor(element_type::float32, shape, strides)};
        with_typed_batch<Eigen::half, Eigen::bfloat16>(call,
                                                       [&](const auto& in, const auto&) { found = in.student.row_stride; });
        return found;
    };
    CHECK(stride({2, 3, 5}, {24, 8, 1}) == 8);
    CHECK(stride({2, 1, 5}, {24, 8, 1}) == 24);
    CHECK(stride({1, 6, 5}, {-3, 7, 1}) == 7);
    CHECK(
        refused([](host_call& c) { c.student = tensor(element_type::float32, {2, 3, 5}, {30, 8, 1}); }) ==
        "distill: batch.student has a leading stride of 30, expected 24, with which the leading dimensions are one axis of "
        "rows");
    CHECK(refused([](host_call& c) { c.teacher = tensor(element_type::float32, {2, 3, 5}, {30, 10, 2}); }) ==
          "distill: batch.teacher has an inner stride of 2, expected 1");
    CHECK(refused([](host_call& c) { c.teacher = tensor(element_type::float32, {2, 3, 5}, {0, 0, 1}); }) ==
          "distill: batch.teacher has a row stride of 0, expected at least 5");
    CHECK(refused([](host_call& c) { c.fields.weights = tensor(element_type::float32, {2, 3}, {1, 2}); }) ==
          "distill: batch.weights has a leading stride of 1, expected 6, with which the leading dimensions are one axis of "
          "rows");
}

TEST_CASE("unequal shapes are refused with both of them") {
    const element_type f = element_type::float32;
    for (const shape_of& shape : {shape_of{3, 2, 5}, {2, 3, 4}, {6, 5}, {2, 3, 5, 1}}) {
        CHECK(refused([&](host_call& c) {
                  c.teacher = tensor(f, shape);
              }).starts_with("distill: batch.teacher has the shape ["));
        CHECK(
            refused([&](host_call& c) { c.gradient = tensor(f, shape); }).starts_with("distill: gradient has the shape ["));
    }
    CHECK(refused([&](host_call& c) { c.teacher = tensor(f, {2, 3, 4}); }) ==
          "distill: batch.teacher has the shape [2, 3, 4], batch.student has [2, 3, 5]");
    const std::string weights = "distill: batch.weights has the shape ";
    for (const shape_of& shape : {shape_of{3, 2}, {2}, {5}, {2, 3, 1}, {1, 6}})
        CHECK(refused([&](host_call& c) { c.fields.weights = tensor(f, shape); }).starts_with(weights));
    CHECK(refused([&](host_call& c) { c.fields.weights = tensor(f, {3, 2}); }) ==
          weights + "[3, 2], expected [2, 3] or [6]");
    CHECK(refused([&](host_call& c) { c.fields.top_log_probs = tensor(f, {3, 2, 4}); }) ==
          "distill: batch.top_log_probs has the shape [3, 2, 4], expected [2, 3] or [6], and one axis more of the teacher's "
          "tokens");
    CHECK(refused([&](host_call& c) { c.fields.top_log_probs = tensor(f, {6}); }).find("one axis more") !=
          std::string::npos);
    CHECK(refused([&](host_call& c) { c.fields.sequence_offsets = tensor(element_type::int32, {3, 1}); }) ==
          "distill: batch.sequence_offsets has 2 dimensions, expected 1");
}

TEST_CASE("another type, another device, no tensor and no memory are refused, each with a sentence of its own") {
    const auto other = [](host_tensor& t, std::string name) {
        t.type = element_type::other;
        t.type_name = std::move(name);
    };
    CHECK(refused([&](host_call& c) { other(c.student, "complex64"); }) ==
          "distill: batch.student has elements of type complex64, expected float32, float64, float16 or bfloat16");
    CHECK(refused([](host_call& c) { c.teacher.type = element_type::int64; }) ==
          "distill: batch.teacher has elements of type int64, expected float32, float64, float16 or bfloat16");
    CHECK(refused([](host_call& c) { c.gradient = tensor(element_type::float64, {2, 3, 5}); }) ==
          "distill: gradient has elements of type float64, expected float32, for batch.student has float32");
    CHECK(refused([](host_call& c) { c.fields.labels = tensor(element_type::float32, {2, 3}); }) ==
          "distill: batch.labels has elements of type float32, expected int32 or int64");
    CHECK(refused([&](host_call& c) {
              c.fields.weights = tensor(element_type::float32, {2, 3});
              other(c.fields.weights, "bool");
          }) == "distill: batch.weights has elements of type bool, expected float32 or float64");
    CHECK(refused([](host_call& c) { c.student.elsewhere = "cuda:0"; }) ==
          "distill: batch.student is on cuda:0, expected memory that the processor reads");
    CHECK(refused([](host_call& c) {
              c.fields.tokens = tensor(element_type::int32, {2, 3});
              c.fields.tokens.elsewhere = "cuda:0";
          }) == "distill: batch.tokens is on cuda:0, expected memory that the processor reads");
    CHECK(refused([](host_call& c) { c.student.asks_for_gradient = true; }) == "accepted");
    CHECK(refused([](host_call& c) { c.teacher.asks_for_gradient = true; }) ==
          "distill: batch.teacher asks for a gradient, and a loss gives one to batch.student alone: detach it");
    CHECK(refused([](host_call& c) { c.fields.weights.asks_for_gradient = true; }) ==
          "distill: batch.weights asks for a gradient, and a loss gives one to batch.student alone: detach it");
    CHECK(refused([](host_call& c) { c.student.given = false; }) == "distill: batch.student is missing");
    CHECK(refused([](host_call& c) { c.teacher.data = nullptr; }) ==
          "distill: batch.teacher has 30 elements and a null pointer");
    CHECK(refused([](host_call& c) { c.student.data = reinterpret_cast<const char*>(memory.data()) + 2; }) ==
          "distill: batch.student is not aligned to its element type");
    CHECK(refused([](host_call& c) { c.student = tensor(element_type::float32, {5}); }) ==
          "distill: batch.student has 1 dimensions, expected 2 to 8, the last one the vocabulary");
    CHECK(refused([](host_call& c) { c.fields.weights = tensor(element_type::float32, {}); }) ==
          "distill: batch.weights has 0 dimensions, expected 1 to 8");
}
