// Logits and tokens from NumPy's .npy files, through xtensor's reader.
#pragma once

#include <Eigen/Core>
#include <bit>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xnpy.hpp>
#include <xtensor/xtensor.hpp>

// A matrix of logits [rows, vocabulary] stored as float16, float32 or float64. Half precision is exact in float.
inline xt::xtensor<float, 2> read_logits(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw std::runtime_error("cannot open " + path);
    // xtensor's typed reader knows no half precision; its file object does not mind.
    xt::detail::npy_file file = xt::detail::load_npy_file(stream);
    if (file.m_shape.size() != 2)
        throw std::runtime_error(path + " has " + std::to_string(file.m_shape.size()) + " dimensions, expected 2");
    if (file.m_fortran_order) throw std::runtime_error(path + " is in Fortran order, expected C order");
    if (file.m_typestring == "<f4") return file.cast<float>();
    if (file.m_typestring == "<f8") return xt::cast<float>(file.cast<double>());
    if (file.m_typestring != "<f2")
        throw std::runtime_error(path + " holds " + file.m_typestring + ", expected <f2, <f4 or <f8");
    const auto bits = file.cast<std::uint16_t>(false);
    auto matrix = xt::xtensor<float, 2>::from_shape({file.m_shape[0], file.m_shape[1]});
    auto* out = matrix.data();
    for (const std::uint16_t b : bits) *out++ = static_cast<float>(std::bit_cast<Eigen::half>(b));
    return matrix;
}

// One token id per row, int32 or int64.
inline std::vector<std::int64_t> read_tokens(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw std::runtime_error("cannot open " + path);
    xt::detail::npy_file file = xt::detail::load_npy_file(stream);
    std::vector<std::int64_t> tokens;
    if (file.m_typestring == "<i4") {
        for (const std::int32_t t : file.cast<std::int32_t>()) tokens.push_back(t);
    } else if (file.m_typestring == "<i8") {
        for (const std::int64_t t : file.cast<std::int64_t>(false)) tokens.push_back(t);
    } else {
        throw std::runtime_error(path + " holds " + file.m_typestring + ", expected <i4 or <i8");
    }
    return tokens;
}
