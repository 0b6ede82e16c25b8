// Weights that are the input's embedding and the head's: the head's gradient is added to the embedding's.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/head/eigen_product.hpp>
#include <distill/head/through_heads.hpp>
#include <vector>

int main() {
    const std::size_t rows = 100, vocabulary = 30, d = 5;
    std::vector<double> embedding(vocabulary * d), teacher(rows * vocabulary), gradient(embedding.size(), 0.0);
    for (std::size_t i = 0; i < embedding.size(); ++i) embedding[i] = std::sin(static_cast<double>(i * i));
    for (std::size_t i = 0; i < teacher.size(); ++i) teacher[i] = 2.0 * std::cos(static_cast<double>(i * i));

    const distill::loss loss{distill::reverse_kl{}, distill::eigen{}, distill::token_mean{}};
    const distill::through_heads f{loss, distill::eigen_product{}, distill::rows_at_once{64}};
    const distill::batch<double> in{.teacher = {teacher.data(), rows, vocabulary}};

    // A model without layers: the hidden state of a row is its token's embedding.
    const auto token = [](std::size_t row) { return row * 7 % vocabulary; };
    std::vector<double> h(rows * d), dh(h.size());
    const distill::linear_head<double> student{.hidden = {h.data(), rows, d}, .weight = {embedding.data(), vocabulary, d}};
    std::vector<std::byte> memory(f.workspace_bytes(student));
    const auto look_up = [&] {
        for (std::size_t i = 0; i < h.size(); ++i) h[i] = embedding[token(i / d) * d + i % d];
    };

    look_up();
    const distill::matrix_view of_embedding{gradient.data(), vocabulary, d};
    f(student, in, {.hidden = {dh.data(), rows, d}, .weight = accumulate(of_embedding)}, memory);
    for (std::size_t i = 0; i < dh.size(); ++i) gradient[token(i / d) * d + i % d] += dh[i];  // through the input

    double largest = 0.0;
    for (std::size_t i = 0; i < embedding.size(); ++i) {
        const auto moved = [&](double by) {
            embedding[i] += by;
            look_up();
            return f(student, in, memory).value;
        };
        const double above = moved(1e-5), below = moved(-2e-5);
        static_cast<void>(moved(1e-5));
        largest = std::max(largest, std::abs((above - below) / 2e-5 - gradient[i]));
    }
    std::printf("the sum of both gradients is the slope of the loss: %s\n", largest < 1e-8 ? "yes" : "no");
}
