// Bad input: the first thing that is wrong, in a sentence, and nothing written.
#include "heads.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>

namespace heads {
namespace {

constexpr shape of{.rows = 70, .vocabulary = 37, .width = 5, .teacher_width = 8};

auto through(std::ptrdiff_t rows_at_once) {
    return distill::through_heads{distill::loss{distill::forward_kl{}, distill::reference{}, distill::token_mean{}},
                                  distill::eigen_product{}, distill::rows_at_once{rows_at_once}};
}

// Everything that a call is given.
struct arguments {
    problem p = make_problem("errors", of);
    stored_problem<float> s{p};
    distill::linear_head<float> student = s.student(), teacher = s.teacher();
    distill::batch<float> in = p.batch();
    distill::head_gradients<float> gradients = s.gradients();
    std::ptrdiff_t rows_at_once = 64;
    std::vector<std::byte> memory = std::vector<std::byte>(through(64).workspace_bytes(student, teacher), std::byte{7});
    std::span<std::byte> workspace = memory;

    distill::loss_result call() const { return through(rows_at_once)(student, teacher, in, gradients, workspace); }
};

// The message of a call whose arguments `spoil` has changed. Checks that the call has written nothing.
std::string message(const std::function<void(arguments&)>& spoil) {
    arguments a;
    for (auto* g : {&a.s.hidden_gradient, &a.s.weight_gradient, &a.s.bias_gradient}) std::fill(g->begin(), g->end(), 3.0f);
    const stored_problem<float> before = a.s;
    spoil(a);
    std::string found = "no error";
    try {
        a.call();
    } catch (const distill::invalid_input& e) {
        found = e.what();
    }
    CHECK(same_bits(a.s.hidden_gradient, before.hidden_gradient));
    CHECK(same_bits(a.s.weight_gradient, before.weight_gradient));
    CHECK(same_bits(a.s.bias_gradient, before.bias_gradient));
    CHECK(same_bits(a.s.hidden, before.hidden));
    CHECK(same_bits(a.s.weight, before.weight));
    CHECK(std::all_of(a.memory.begin(), a.memory.end(), [](std::byte b) { return b == std::byte{7}; }));
    return found;
}

}  // namespace

TEST_CASE("a sound call is not refused, and writes") {
    arguments a;
    const auto found = a.call();
    CHECK(found.value > 0.0);
    CHECK(distill_test::norm(widened(a.s.weight_gradient)) > 0.0);
}

TEST_CASE("widths and rows that disagree") {
    CHECK(message([](arguments& a) { a.student.hidden.columns = 4; }) ==
          "distill: student.hidden has a width of 4, student.weight has 5");
    CHECK(message([](arguments& a) { a.teacher.hidden.columns = 9, a.teacher.hidden.row_stride = 9; }) ==
          "distill: teacher.hidden has a width of 9, teacher.weight has 8");
    CHECK(message([](arguments& a) { a.teacher.hidden.rows = 69; }) ==
          "distill: teacher.hidden has 69 rows, student.hidden has 70");
    CHECK(message([](arguments& a) { a.teacher.weight.rows = 36; }) ==
          "distill: teacher.weight has 36 rows, student.weight has 37");
    CHECK(message([](arguments& a) { a.student.bias.size = 36; }) ==
          "distill: student.bias has 36 elements, student.weight has 37 rows");
    CHECK(message([](arguments& a) { a.gradients.hidden.view.rows = 71; }) ==
          "distill: gradient.hidden has 71 rows, student.hidden has 70");
    CHECK(message([](arguments& a) { a.gradients.hidden.view.columns = 4; }) ==
          "distill: gradient.hidden has a width of 4, student.weight has 5");
    CHECK(message([](arguments& a) { a.gradients.weight.view.rows = 38; }) ==
          "distill: gradient.weight has 38 rows, student.weight has 37");
    CHECK(message([](arguments& a) { a.gradients.weight.view.columns = 4; }) ==
          "distill: gradient.weight has a width of 4, student.weight has 5");
    CHECK(message([](arguments& a) { a.gradients.bias.view.size = 38; }) ==
          "distill: gradient.bias has 38 elements, student.weight has 37 rows");
    CHECK(message([](arguments& a) { a.in.weights = {a.p.fields.weights.data(), 69}; }) ==
          "distill: batch.weights has 69 elements, batch.student has 70 rows");
}

TEST_CASE("shapes and pointers") {
    CHECK(message([](arguments& a) { a.student.hidden.rows = -1; }) == "distill: student.hidden has -1 rows");
    CHECK(message([](arguments& a) { a.student.hidden = {}; }) == "distill: student.hidden is empty");
    CHECK(message([](arguments& a) { a.student.weight = {}; }) == "distill: student.weight is empty");
    CHECK(message([](arguments& a) { a.teacher.weight = {}; }) == "distill: teacher.weight is empty");
    CHECK(message([](arguments& a) { a.student.weight.columns = 0; }) ==
          "distill: student.weight has a width of 0, expected at least 1");
    CHECK(message([](arguments& a) { a.student.weight.row_stride = 4; }) ==
          "distill: student.weight has a row stride of 4, expected at least its width 5");
    CHECK(message([](arguments& a) { a.student.weight.row_stride = std::ptrdiff_t{1} << 60; }) ==
          "distill: student.weight has 37 rows of stride 1152921504606846976, more than memory can hold");
    CHECK(message([](arguments& a) { a.student.weight.data = nullptr; }) ==
          "distill: student.weight has 37 rows and a null pointer");
    CHECK(message([](arguments& a) { a.student.bias.data = nullptr; }) ==
          "distill: student.bias has 37 elements and a null pointer");
    CHECK(message([](arguments& a) { a.gradients.hidden.view.data = nullptr; }) ==
          "distill: gradient.hidden has 70 rows and a null pointer");
    CHECK(message([](arguments& a) {
              a.student.weight.data =
                  reinterpret_cast<const float*>(reinterpret_cast<const char*>(a.student.weight.data) + 1);
          }) == "distill: student.weight is not aligned to its element type");
    CHECK(message([](arguments& a) { a.rows_at_once = 100; }) == "distill: rows_at_once is 100, expected a multiple of 64");
    CHECK(message([](arguments& a) { a.rows_at_once = 0; }) == "distill: rows_at_once is 0, expected a multiple of 64");
}

TEST_CASE("logits beside heads that make them") {
    CHECK(message([](arguments& a) { a.in.student = {a.s.hidden.data(), 70, 5}; }) ==
          "distill: batch.student is given, and a head that makes it");
    CHECK(message([](arguments& a) { a.in.teacher = {a.s.hidden.data(), 70, 5}; }) ==
          "distill: batch.teacher is given, and a head that makes it");
}

TEST_CASE("a workspace that is too small, by how many bytes it needs") {
    arguments a;
    const std::size_t needed = a.memory.size();
    CHECK(message([](arguments& b) { b.workspace = b.workspace.first(1000); }) ==
          "distill: the workspace has 1000 bytes, this call needs " + std::to_string(needed));
    CHECK(message([](arguments& b) { b.workspace = b.workspace.first(b.workspace.size() - 1); }) ==
          "distill: the workspace has " + std::to_string(needed - 1) + " bytes, this call needs " + std::to_string(needed));
    // At any address, what is needed is enough.
    std::vector<std::byte> more(needed + 64, std::byte{7});
    const auto expected = a.call();
    for (const std::size_t offset : {1u, 8u, 63u}) {
        const auto found = through(64)(a.student, a.teacher, a.in, a.gradients, std::span(more).subspan(offset, needed));
        CHECK(same_bits(found, expected));
        CHECK(more.back() == std::byte{7});
        CHECK(more[offset - 1] == std::byte{7});
        std::fill(more.begin(), more.end(), std::byte{7});
    }
}

TEST_CASE("outputs that overlap anything") {
    CHECK(message([](arguments& a) { a.gradients.hidden.view.data = const_cast<float*>(a.student.hidden.data); }) ==
          "distill: gradient.hidden overlaps student.hidden");
    CHECK(message([](arguments& a) { a.gradients.weight.view.data = const_cast<float*>(a.student.weight.data); }) ==
          "distill: gradient.weight overlaps student.weight");
    CHECK(message([](arguments& a) { a.gradients.bias.view.data = const_cast<float*>(a.teacher.weight.data); }) ==
          "distill: gradient.bias overlaps teacher.weight");
    CHECK(message([](arguments& a) { a.gradients.bias.view.data = a.gradients.weight.view.data; }) ==
          "distill: gradient.weight overlaps gradient.bias");
    CHECK(message([](arguments& a) { a.gradients.hidden.view.data = reinterpret_cast<float*>(a.memory.data() + 64); }) ==
          "distill: the workspace overlaps gradient.hidden");
    CHECK(message([](arguments& a) {
              a.in.weights = distill::row_values(reinterpret_cast<const double*>(a.memory.data() + 64), of.rows);
          }) == "distill: the workspace overlaps batch.weights");
    CHECK(message([](arguments& a) {
              static std::vector<double> weights(of.rows, 1.0);
              a.in.weights = weights;
              a.gradients.bias.view.data = reinterpret_cast<float*>(weights.data());
          }) == "distill: gradient.bias overlaps batch.weights");
}

TEST_CASE("what is wrong with the loss or its batch") {
    CHECK(message([](arguments& a) { a.p.fields.labels[0] = 99; }) ==
          "distill: batch.labels[0] is 99, expected a token id in [0, 37)");
    CHECK(message([](arguments& a) {
              a.student.bias = {};
              a.gradients.weight = {}, a.gradients.bias = {};
              a.student.weight.rows = a.teacher.weight.rows = 1 << 25;
          }) == "distill: batch.student has a vocabulary of 33554432, expected 1 to 16777216");
    arguments a;
    CHECK_THROWS_WITH(through(64)(a.student, a.in, a.gradients, a.workspace),
                      "distill: forward_kl needs batch.teacher, which is empty");
}

TEST_CASE("chunks that somebody else makes") {
    const distill::in_chunks f{distill::loss{distill::cross_entropy{}, distill::reference{}, distill::token_mean{}},
                               distill::rows_at_once{64}};
    arguments a;
    const auto make = [](const auto&, const auto&) { FAIL("a producer runs in a call that is refused"); };
    const distill::logits_shape shape{of.rows, of.vocabulary};
    const std::size_t needed = f.workspace_bytes<float>(shape);
    CHECK_THROWS_WITH(
        f(shape, a.in, make, distill::no_producer{}, std::span(a.memory).first(needed - 1)),
        ("distill: the workspace has " + std::to_string(needed - 1) + " bytes, this call needs " + std::to_string(needed))
            .c_str());
    CHECK_THROWS_WITH(f({-1, 37}, a.in, make, distill::no_producer{}, a.memory), "distill: batch.student has -1 rows");
    CHECK_THROWS_WITH(f({70, 0}, a.in, make, distill::no_producer{}, a.memory),
                      "distill: batch.student has a vocabulary of 0, expected 1 to 16777216");
    a.in.student = {a.s.hidden.data(), 70, 5};
    CHECK_THROWS_WITH(f(shape, a.in, make, distill::no_producer{}, a.memory),
                      "distill: batch.student is given, and a producer that makes it");
    a.in.student = {};
    a.in.teacher = {a.s.hidden.data(), 70, 5};
    CHECK_THROWS_WITH(f(shape, a.in, make, make, a.memory), "distill: batch.teacher is given, and a producer that makes it");
}

}  // namespace heads
