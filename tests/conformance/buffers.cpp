// Strides, padding, in place, interleaving, accumulation: what is read and what is written.
#include <conformance/example.hpp>
#include <conformance/guarded_pages.hpp>

#include <doctest/doctest.h>

#include <array>

namespace conformance {

namespace {

constexpr std::ptrdiff_t rows = 4, vocabulary = 83;

// The example's rows in another memory layout.
example repadded(const example& e, padding p) {
    example moved = e;
    moved.student = matrix::filled(e.rows(), e.vocabulary(), p.student, sentinel);
    moved.teacher = matrix::filled(e.rows(), e.vocabulary(), p.teacher, sentinel);
    for (std::ptrdiff_t r = 0; r < e.rows(); ++r) {
        std::ranges::copy(e.student.row(r), moved.student.row(r).begin());
        std::ranges::copy(e.teacher.row(r), moved.teacher.row(r).begin());
    }
    return moved;
}

bool same_rows(const matrix& a, const matrix& b) {
    for (std::ptrdiff_t r = 0; r < a.rows; ++r)
        if (!same_bits(a.row(r), b.row(r))) return false;
    return true;
}

}  // namespace

TEST_CASE("student, teacher and gradient have strides of their own, and no result depends on them") {
    for_each_loss([](objective o, const backend& b) {
        const example plain = make_example("strides", rows, vocabulary);
        const outcome expected = run(o, b, plain);
        for (const auto& [student, teacher, gradient] :
             {std::array<std::ptrdiff_t, 3>{1, 0, 0}, {0, 45, 0}, {0, 0, 7}, {13, 4, 1}, {1, 2, 3}}) {
            const example padded = repadded(plain, {student, teacher});
            const outcome found = run(*make_loss(o, b), padded.batch(), gradient);
            CHECK(same_bits(found.result, expected.result));
            CHECK(same_bits(found.row_losses, expected.row_losses));
            CHECK(same_rows(found.gradient, expected.gradient));
            CHECK(padding_is_untouched(found.gradient));
            CHECK(padding_is_untouched(padded.student));
        }
    });
}

TEST_CASE("padding columns are neither read nor written") {
    const auto length = pages::length<float>();
    for_each_loss([&](objective o, const backend& b) {
        const example e = make_example("forbidden padding", 2, length);
        const outcome expected = run(o, b, e);
        // Every row is one page, its padding the next.
        std::array<pages, 3> memory{pages(4), pages(4), pages(4)};
        std::array<distill::logits_view<float>, 3> views;
        for (std::size_t i = 0; i < 3; ++i) {
            views[i] = {memory[i].begin<float>(0), 2, length, 2 * length};
            for (std::ptrdiff_t r = 0; r < 2; ++r)
                std::ranges::copy((i == 0 ? e.student : e.teacher).row(r), views[i].row(r));
            memory[i].forbid(1);
            memory[i].forbid(3);
        }
        auto in = e.batch();
        in.student = views[0];
        in.teacher = views[1];
        const auto result = (*make_loss(o, b))(in, views[2]);
        CHECK(same_bits(result, expected.result));
        for (std::ptrdiff_t r = 0; r < 2; ++r)
            CHECK(same_bits(std::span<const float>(views[2].row(r), static_cast<std::size_t>(length)),
                            expected.gradient.row(r)));
    });
}

TEST_CASE("nothing before the first or after the last entry is read or written, whatever the tail") {
    for_each_loss([](objective o, const backend& b) {
        for (const std::ptrdiff_t v : {1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 1023, 1024, 1025, 2047, 2063}) {
            CAPTURE(v);
            const example e = make_example("fences", 1, v);
            const outcome expected = run(o, b, e);
            fenced<float> student(v), teacher(v), gradient(v);
            for (const bool at_the_end : {false, true}) {
                float* z = at_the_end ? student.at_the_end() : student.at_the_beginning();
                float* w = at_the_end ? teacher.at_the_end() : teacher.at_the_beginning();
                float* dz = at_the_end ? gradient.at_the_end() : gradient.at_the_beginning();
                std::ranges::copy(e.student.memory, z);
                std::ranges::copy(e.teacher.memory, w);
                auto in = e.batch();
                in.student = {z, 1, v};
                in.teacher = {w, 1, v};
                CHECK(same_bits((*make_loss(o, b))(in, {dz, 1, v}), expected.result));
                CHECK(same_bits(std::span<const float>(dz, static_cast<std::size_t>(v)), expected.gradient.row(0)));
            }
        }
    });
}

TEST_CASE("overwriting needs no clean gradient, and padding is zeroed on request, in masked rows too") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("zeroed padding", rows, vocabulary, {2, 0});
        e.weights[2] = 0.0;
        const outcome expected = run(o, b, e);
        matrix gradient = matrix::filled(rows, vocabulary, 9, positive_nan);
        const auto result = (*make_loss(o, b))(e.batch(), zero_padding(gradient.view()));
        CHECK(same_bits(result, expected.result));
        CHECK(same_rows(gradient, expected.gradient));
        for (std::ptrdiff_t r = 0; r < rows; ++r) CHECK(all_zero(gradient.padding(r)));
        CHECK(all_zero(gradient.row(2)));
    });
}

TEST_CASE("the gradient may be the student's own buffer: the same bits as elsewhere") {
    for_each_loss([](objective o, const backend& b) {
        for (const std::ptrdiff_t width : {std::ptrdiff_t{1}, std::ptrdiff_t{16}, vocabulary, std::ptrdiff_t{4099}}) {
            example e = make_example("in place", rows, width, {11, 0});
            e.weights[1] = 0.0;
            const auto f = make_loss(o, b);
            const outcome expected = run(*f, e.batch());
            std::vector<double> row_losses(rows);
            const auto result = f->per_token(e.batch(), std::span(row_losses), e.student.view());
            CHECK(same_bits(result, expected.result));
            CHECK(same_bits(row_losses, expected.row_losses));
            CHECK(same_rows(e.student, expected.gradient));
            CHECK(padding_is_untouched(e.student));
        }
    });
}

TEST_CASE("student, teacher and gradient may be columns of one wide matrix") {
    for_each_loss([](objective o, const backend& b) {
        const example e = make_example("interleaved", rows, vocabulary);
        const outcome expected = run(o, b, e);
        const std::ptrdiff_t stride = 3 * vocabulary;
        std::vector<float> wide(static_cast<std::size_t>(rows * stride), sentinel);
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            std::ranges::copy(e.student.row(r), wide.data() + r * stride);
            std::ranges::copy(e.teacher.row(r), wide.data() + r * stride + 2 * vocabulary);
        }
        auto in = e.batch();
        in.student = {wide.data(), rows, vocabulary, stride};
        in.teacher = {wide.data() + 2 * vocabulary, rows, vocabulary, stride};
        const distill::logits_view gradient{wide.data() + vocabulary, rows, vocabulary, stride};
        CHECK(same_bits((*make_loss(o, b))(in, gradient), expected.result));
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            CHECK(same_bits(std::span<const float>(gradient.row(r), vocabulary), expected.gradient.row(r)));
            CHECK(same_bits(std::span<const float>(in.student.row(r), vocabulary), e.student.row(r)));
            CHECK(same_bits(std::span<const float>(in.teacher.row(r), vocabulary), e.teacher.row(r)));
        }
    });
}

TEST_CASE("student and teacher may be the same buffer: every divergence is zero there") {
    for (const backend& b : backends()) {
        CAPTURE(b.name);
        const example e = make_example("self", rows, vocabulary);
        auto in = e.batch();
        in.teacher = in.student;
        const outcome found = run(*make_loss(objective::forward_kl, b), in);
        CHECK(found.result.value == 0.0);
        CHECK(std::ranges::all_of(found.gradient.memory, [](float dz) { return dz == 0.0f; }));
    }
}

TEST_CASE("accumulating adds the gradient and leaves masked rows and padding as they were") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("accumulate", rows, vocabulary);
        e.weights[3] = 0.0;
        const auto f = make_loss(o, b);
        const outcome expected = run(*f, e.batch());
        matrix gradient = matrix::filled(rows, vocabulary, 5, 0.0f);
        const example before = make_example("before", rows, vocabulary);
        for (std::ptrdiff_t r = 0; r < rows; ++r) std::ranges::copy(before.student.row(r), gradient.row(r).begin());
        for (float& x : gradient.row(3)) x = sentinel;
        const auto result = (*f)(e.batch(), accumulate(gradient.view()));
        CHECK(same_bits(result, expected.result));
        CHECK(padding_is_untouched(gradient));
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            double largest = 0.0;
            bool untouched = true;
            for (std::ptrdiff_t v = 0; v < vocabulary; ++v) {
                const double sum = double{before.student.at(r, v)} + double{expected.gradient.at(r, v)};
                if (r != 3) largest = std::max(largest, std::abs(double{gradient.at(r, v)} - sum));
                untouched =
                    untouched && std::bit_cast<std::uint32_t>(gradient.at(r, v)) == std::bit_cast<std::uint32_t>(sentinel);
            }
            CHECK(largest < 1e-6);
            CHECK(untouched == (r == 3));
        }
    });
}

TEST_CASE("accumulating may be combined with zeroed padding and with the student's own buffer") {
    for_each_loss([](objective o, const backend& b) {
        example e = make_example("accumulate in place", rows, vocabulary, {5, 0});
        const auto f = make_loss(o, b);
        const outcome expected = run(*f, e.batch());
        const matrix before = e.student;
        (*f)(e.batch(), zero_padding(accumulate(e.student.view())));
        double largest = 0.0;
        for (std::ptrdiff_t r = 0; r < rows; ++r) {
            CHECK(all_zero(e.student.padding(r)));
            for (std::ptrdiff_t v = 0; v < vocabulary; ++v)
                largest = std::max(largest, std::abs(double{e.student.at(r, v)} - double{before.at(r, v)} -
                                                     double{expected.gradient.at(r, v)}));
        }
        CHECK(largest < 1e-6);
    });
}

TEST_CASE("no input is written") {
    for_each_loss([](objective o, const backend& b) {
        const example e = make_example("read only", rows, vocabulary, {1, 2});
        const example before = e;
        run(o, b, e);
        CHECK(same_bits(e.student.memory, before.student.memory));
        CHECK(same_bits(e.teacher.memory, before.teacher.memory));
        CHECK(same_bits(e.weights, before.weights));
        CHECK(same_bits(e.tokens, before.tokens));
        CHECK(same_bits(e.advantages, before.advantages));
    });
}

}  // namespace conformance
