#include "golden_on_eigen.hpp"

namespace distill_test {

golden_answer on_eigen_double(const golden_case& c) { return on_eigen<double>(c); }

}  // namespace distill_test
