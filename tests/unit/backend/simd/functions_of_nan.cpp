// At the level of optimisation of the build.
#include <unit/backend/simd/functions_of_nan.hpp>
