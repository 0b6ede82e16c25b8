#include "golden_on_eigen.hpp"

namespace distill_test {

golden_answer on_eigen_float(const golden_case& c) { return on_eigen<float>(c); }

}  // namespace distill_test
