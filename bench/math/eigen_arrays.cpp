// Eigen's functions of arrays.
#include "../peers/formulas.hpp"

#include <Eigen/Core>

namespace bench {
namespace {

using array = Eigen::Array<float, Eigen::Dynamic, 1>;
using input = Eigen::Map<const array>;
using output = Eigen::Map<array>;

Eigen::Index index(std::size_t count) { return static_cast<Eigen::Index>(count); }

void exp_of(const float* x, float* y, std::size_t count) { output(y, index(count)) = input(x, index(count)).exp(); }
void log_of(const float* x, float* y, std::size_t count) { output(y, index(count)) = input(x, index(count)).log(); }
void expm1_of(const float* x, float* y, std::size_t count) { output(y, index(count)) = input(x, index(count)).expm1(); }

}  // namespace

DISTILL_BENCH_VISIBLE functions DISTILL_BENCH_NAME() { return {DISTILL_BENCH_FLAGS, exp_of, log_of, expm1_of}; }

}  // namespace bench
