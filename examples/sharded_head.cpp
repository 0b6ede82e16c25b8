// A head whose weights stand in pieces, a slice of the vocabulary each: every piece fills its columns, and has a gradient of its own.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/head/in_chunks.hpp>
#include <vector>

using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct shard {
    int first;
    matrix weight, gradient;
};

int main() {
    const int rows = 150, vocabulary = 60, d = 6;
    const matrix h = matrix::Random(rows, d), teacher = 2.0 * matrix::Random(rows, vocabulary);
    std::vector<shard> shards;
    for (int first = 0, width = 10; first < vocabulary; first += width, width += 10)
        shards.push_back({first, matrix::Random(width, d), matrix::Zero(width, d)});

    const distill::loss loss{distill::jensen_shannon{}, distill::eigen{}, distill::token_mean{}};
    const distill::in_chunks f{loss, distill::rows_at_once{64}};
    const distill::logits_shape shape{rows, vocabulary};
    const distill::batch<double> in{.teacher = {teacher.data(), rows, vocabulary}};
    std::vector<std::byte> memory(f.workspace_bytes<double>(shape));

    const auto student = [&](const distill::row_chunk& chunk, const distill::logits_view<double>& logits) {
        for (const shard& part : shards)
            for (std::size_t i = 0; i < chunk.rows.size(); ++i)
                Eigen::Map<Eigen::RowVectorXd>(logits.row(static_cast<std::ptrdiff_t>(i)) + part.first, part.weight.rows()) =
                    h.row(chunk.rows[i]) * part.weight.transpose();
    };
    const auto consume = [&](const distill::row_chunk& chunk, const distill::logits_view<const double>& gradient) {
        for (shard& part : shards)
            for (std::size_t i = 0; i < chunk.rows.size(); ++i)
                part.gradient += Eigen::Map<const Eigen::RowVectorXd>(
                                     gradient.row(static_cast<std::ptrdiff_t>(i)) + part.first, part.weight.rows())
                                     .transpose() *
                                 h.row(chunk.rows[i]);
    };
    f(shape, in, student, distill::no_producer{}, consume, memory);

    for (shard& part : shards) {
        double largest = 0.0;
        for (Eigen::Index i = 0; i < part.weight.size(); ++i) {
            const auto moved = [&](double by) {
                part.weight.data()[i] += by;
                return f(shape, in, student, distill::no_producer{}, memory).value;
            };
            const double above = moved(1e-5), below = moved(-2e-5);
            static_cast<void>(moved(1e-5));
            largest = std::max(largest, std::abs((above - below) / 2e-5 - part.gradient.data()[i]));
        }
        std::printf("columns from %2d: dL/dW is the slope of the loss: %s\n", part.first, largest < 1e-8 ? "yes" : "no");
    }
}
