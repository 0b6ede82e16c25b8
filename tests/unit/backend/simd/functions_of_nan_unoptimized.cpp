// Without optimisation (tests/CMakeLists.txt).
#include <unit/backend/simd/functions_of_nan.hpp>
