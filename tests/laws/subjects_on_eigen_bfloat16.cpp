#include "subjects_on_eigen.hpp"

namespace distill_test {

std::vector<evaluator> evaluators_on_eigen_bfloat16() { return representatives_on_eigen<Eigen::bfloat16>(); }

}  // namespace distill_test
