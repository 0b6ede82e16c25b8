#include "subjects_on_eigen.hpp"

namespace distill_test {

std::vector<evaluator> evaluators_on_eigen_float() { return evaluators_on_eigen<float>(); }

}  // namespace distill_test
