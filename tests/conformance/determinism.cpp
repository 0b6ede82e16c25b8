// The same bits in every run, in every batch, at every place.
#include <conformance/example.hpp>

#include <doctest/doctest.h>

namespace conformance {

namespace {

// Rows [begin, end) of a batch.
distill::batch<float> rows_of(const distill::batch<float>& in, std::ptrdiff_t begin, std::ptrdiff_t end, const example& e) {
    const auto values = [&](const std::vector<double>& all) { return distill::row_values(all.data() + begin, end - begin); };
    const auto indices = [&](const std::vector<std::int64_t>& all) {
        return distill::row_indices(all.data() + begin, end - begin);
    };
    auto part = in;
    part.student.data += begin * part.student.row_stride;
    part.teacher.data += begin * part.teacher.row_stride;
    part.student.rows = part.teacher.rows = end - begin;
    part.weights = values(e.weights);
    part.old_log_probs = values(e.old_log_probs);
    part.teacher_log_probs = values(e.teacher_log_probs);
    part.advantages = values(e.advantages);
    part.tokens = indices(e.tokens);
    part.teacher_tokens = indices(e.teacher_tokens);
    part.labels = indices(e.labels);
    return part;
}

}  // namespace

TEST_CASE("two runs give the same bits") {
    for_each_loss([](objective o, const backend& b) {
        const example e = make_example("two runs", 300, 33);
        const auto f = make_loss(o, b);
        CHECK(same_bits(run(*f, e.batch()), run(*f, e.batch())));
        CHECK(same_bits((*f)(e.batch()), (*make_loss(o, b))(e.batch())));
    });
}

TEST_CASE("a row has the same bits in whatever batch it stands") {
    for_each_loss([](objective o, const backend& b) {
        constexpr std::ptrdiff_t rows = 300;  // more rows than blocks
        example e = make_example("batch split", rows, 45, {2, 0});
        e.weights[7] = e.weights[150] = 0.0;
        // The denominator is the caller's, so that the parts divide by what the whole divides by.
        const auto f = make_loss(o, b, distill::token_mean{298.0});
        const outcome whole = run(*f, e.batch());
        for (const std::ptrdiff_t part : {1, 7, 100, 299}) {
            CAPTURE(part);
            std::ptrdiff_t differing = 0, active = 0, clipped = 0;
            double sum = 0.0;
            for (std::ptrdiff_t begin = 0; begin < rows; begin += part) {
                const std::ptrdiff_t end = std::min(rows, begin + part);
                const outcome found = run(*f, rows_of(e.batch(), begin, end, e));
                sum += found.result.value;
                active += found.result.active_rows;
                clipped += found.result.clipped_rows;
                for (std::ptrdiff_t r = begin; r < end; ++r)
                    differing += same_bits(found.row_losses[static_cast<std::size_t>(r - begin)],
                                           whole.row_losses[static_cast<std::size_t>(r)]) &&
                                         same_bits(found.gradient.row(r - begin), whole.gradient.row(r))
                                     ? 0
                                     : 1;
            }
            CHECK(differing == 0);
            CHECK(active == whole.result.active_rows);
            CHECK(clipped == whole.result.clipped_rows);
            CHECK(sum == doctest::Approx(whole.result.value).epsilon(1e-12));
        }
    });
}

TEST_CASE("a row has the same bits at every address") {
    for_each_loss([](objective o, const backend& b) {
        constexpr std::ptrdiff_t vocabulary = 2100;
        const example e = make_example("address", 1, vocabulary);
        const auto f = make_loss(o, b);
        const outcome expected = run(*f, e.batch());
        std::vector<float> z(vocabulary + 16), w(vocabulary + 16), dz(vocabulary + 16);
        for (const std::ptrdiff_t shift : {1, 2, 3, 5, 8, 15}) {
            CAPTURE(shift);
            std::ranges::copy(e.student.memory, z.begin() + shift);
            std::ranges::copy(e.teacher.memory, w.begin() + 16 - shift);
            auto in = e.batch();
            in.student.data = z.data() + shift;
            in.teacher.data = w.data() + 16 - shift;
            CHECK(same_bits((*f)(in, {dz.data() + shift / 2, 1, vocabulary}), expected.result));
            CHECK(same_bits(std::span<const float>(dz.data() + shift / 2, vocabulary), expected.gradient.row(0)));
        }
    });
}

}  // namespace conformance
