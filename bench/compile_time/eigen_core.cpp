// The unit of every ratio.
#include <Eigen/Core>
