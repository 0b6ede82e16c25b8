// A head of 8-bit weights: row v of W is scale[v] times whole numbers. W is never widened as a whole; scales and hidden states have
// gradients.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/head/in_chunks.hpp>
#include <vector>

using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using codes = Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
    const int rows = 150, vocabulary = 40, d = 6;
    const codes q = (100.0 * matrix::Random(vocabulary, d)).cast<std::int8_t>();
    const matrix teacher = 2.0 * matrix::Random(rows, vocabulary);
    matrix h = matrix::Random(rows, d), scale = matrix::Random(1, vocabulary) / 50.0;
    matrix dh = matrix::Zero(rows, d), dscale = matrix::Zero(1, vocabulary);

    const distill::loss loss{distill::forward_kl{}, distill::eigen{}, distill::token_mean{}};
    const distill::in_chunks f{loss, distill::rows_at_once{64}};
    const distill::logits_shape shape{rows, vocabulary};
    const distill::batch<double> in{.teacher = {teacher.data(), rows, vocabulary}};
    std::vector<std::byte> memory(f.workspace_bytes<double>(shape));

    const auto student = [&](const distill::row_chunk& chunk, const distill::logits_view<double>& logits) {
        for (std::size_t i = 0; i < chunk.rows.size(); ++i)
            for (int v = 0; v < vocabulary; ++v)
                logits.row(static_cast<std::ptrdiff_t>(i))[v] = scale(v) * h.row(chunk.rows[i]).dot(q.row(v).cast<double>());
    };
    const auto consume = [&](const distill::row_chunk& chunk, const distill::logits_view<const double>& gradient) {
        for (std::size_t i = 0; i < chunk.rows.size(); ++i)
            for (int v = 0; v < vocabulary; ++v) {
                const double g = gradient.row(static_cast<std::ptrdiff_t>(i))[v];
                dscale(v) += g * h.row(chunk.rows[i]).dot(q.row(v).cast<double>());
                dh.row(chunk.rows[i]) += g * scale(v) * q.row(v).cast<double>();
            }
    };
    f(shape, in, student, distill::no_producer{}, consume, memory);

    const auto largest_error = [&](matrix& of, const matrix& gradient) {
        double largest = 0.0;
        for (Eigen::Index i = 0; i < of.size(); i += 3) {
            const auto moved = [&](double by) {
                of.data()[i] += by;
                return f(shape, in, student, distill::no_producer{}, memory).value;
            };
            const double above = moved(1e-5), below = moved(-2e-5);
            static_cast<void>(moved(1e-5));
            largest = std::max(largest, std::abs((above - below) / 2e-5 - gradient.data()[i]));
        }
        return largest;
    };
    std::printf("dL/dh is the slope of the loss: %s\n", largest_error(h, dh) < 1e-8 ? "yes" : "no");
    std::printf("dL/dscale is the slope of the loss: %s\n", largest_error(scale, dscale) < 1e-6 ? "yes" : "no");
}
