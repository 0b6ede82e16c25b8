// A head adapted by LoRA: z = h W^T + s (h A^T) B^T, with W frozen. Gradients of A and B are three lines.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/head/in_chunks.hpp>
#include <vector>

using matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
    const int rows = 150, vocabulary = 40, d = 6, rank = 2;
    const double s = 0.5;
    const matrix h = matrix::Random(rows, d), w = matrix::Random(vocabulary, d),
                 teacher = 2.0 * matrix::Random(rows, vocabulary);
    matrix a = matrix::Random(rank, d), b = matrix::Random(vocabulary, rank);
    matrix da = matrix::Zero(rank, d), db = matrix::Zero(vocabulary, rank);

    const distill::loss loss{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    const distill::in_chunks f{loss, distill::rows_at_once{64}};
    const distill::logits_shape shape{rows, vocabulary};
    const distill::batch<double> in{.teacher = {teacher.data(), rows, vocabulary}};
    std::vector<std::byte> memory(f.workspace_bytes<double>(shape));

    const auto student = [&](const distill::row_chunk& chunk, const distill::logits_view<double>& logits) {
        for (std::size_t i = 0; i < chunk.rows.size(); ++i) {
            Eigen::Map<Eigen::RowVectorXd> z(logits.row(static_cast<std::ptrdiff_t>(i)), vocabulary);
            const auto row = h.row(chunk.rows[i]);
            z = row * w.transpose() + s * (row * a.transpose()) * b.transpose();
        }
    };
    const auto consume = [&](const distill::row_chunk& chunk, const distill::logits_view<const double>& gradient) {
        for (std::size_t i = 0; i < chunk.rows.size(); ++i) {
            const Eigen::Map<const Eigen::RowVectorXd> g(gradient.row(static_cast<std::ptrdiff_t>(i)), vocabulary);
            const auto row = h.row(chunk.rows[i]);
            db += s * g.transpose() * (row * a.transpose());
            da += s * (g * b).transpose() * row;
        }
    };
    f(shape, in, student, distill::no_producer{}, consume, memory);
    // Against differences of the loss.
    const auto largest_error = [&](matrix& of, const matrix& gradient) {
        double largest = 0.0;
        for (Eigen::Index i = 0; i < of.size(); ++i) {
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
    std::printf("dL/dA is the slope of the loss: %s\n", largest_error(a, da) < 1e-8 ? "yes" : "no");
    std::printf("dL/dB is the slope of the loss: %s\n", largest_error(b, db) < 1e-8 ? "yes" : "no");
}
