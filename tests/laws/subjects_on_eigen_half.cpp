#include "subjects_on_eigen.hpp"

namespace distill_test {

std::vector<evaluator> evaluators_on_eigen_half() { return representatives_on_eigen<Eigen::half>(); }

}  // namespace distill_test
