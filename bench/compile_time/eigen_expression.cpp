// What a user of Eigen pays for one array expression.
#include <Eigen/Core>

float log_sum(const float* x, int count) {
    const Eigen::Map<const Eigen::ArrayXf> values(x, count);
    return std::log((values - values.maxCoeff()).exp().sum());
}
