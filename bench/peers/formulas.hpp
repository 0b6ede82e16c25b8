// What a translation unit with compiler flags of its own has: plain functions over raw arrays, and its flags.
#pragma once

#include <cstddef>

// Each is a library whose one visible symbol is a function that returns its formulas; see bench_peer in CMakeLists.txt.
#define DISTILL_BENCH_VISIBLE __attribute__((visibility("default")))

namespace bench {

// Rows of logits, one after another, and the place of the gradient.
struct logits {
    const float* student;
    const float* teacher;
    float* gradient;
    std::size_t rows, vocabulary;
};

// Writes the gradient of the mean over rows and returns the loss.
using loss_and_gradient = double (*)(const logits&);

struct losses {
    const char* flags;
    loss_and_gradient forward_kl, jensen_shannon;  // nullptr: not written
};

// y[i] = f(x[i]); the count is a multiple of 64.
using elementwise = void (*)(const float* x, float* y, std::size_t count);

struct functions {
    const char* flags;
    elementwise exp, log, expm1;
};

}  // namespace bench
