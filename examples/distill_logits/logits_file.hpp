// Logits and tokens from .npy files, and what a file must be for that.
#pragma once

#include <Eigen/Core>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "npy.hpp"

// A matrix of logits [rows, vocabulary]. Half precision is exact in float.
inline xt::xtensor<float, 2> read_logits(std::istream& stream, const std::string& name) {
    npy array = read_npy_header(stream, name);
    const std::string& type = array.type;
    if (type != "float16" && type != "bfloat16" && type != "float32" && type != "float64")
        throw std::runtime_error(
            name + " holds " + type +
            ", expected float16, float32, float64 or ml_dtypes' bfloat16: save the logits as one of these" +
            (array.number_size == 2 ? "; the bits of bfloat16 as array.view(ml_dtypes.bfloat16)" : ""));
    if (array.shape.size() != 2)
        throw std::runtime_error(name + " has shape " + array.shape_text +
                                 ", expected (rows, vocabulary): save array.reshape(-1, array.shape[-1])");
    if (array.shape[0] == 0 || array.shape[1] == 0)
        throw std::runtime_error(name + " has shape " + array.shape_text +
                                 ", expected at least one row of at least one logit: save some");
    read_numbers(stream, name, array);
    auto matrix = xt::xtensor<float, 2>::from_shape({array.shape[0], array.shape[1]});
    if (type == "float16") array.copy_to<Eigen::half>(matrix.data());
    if (type == "bfloat16") array.copy_to<Eigen::bfloat16>(matrix.data());
    if (type == "float32") array.copy_to<float>(matrix.data());
    if (type == "float64") array.copy_to<double>(matrix.data());
    return matrix;
}

// One token id per row, int32 or int64.
inline std::vector<std::int64_t> read_tokens(std::istream& stream, const std::string& name) {
    npy array = read_npy_header(stream, name);
    if (array.type != "int32" && array.type != "int64")
        throw std::runtime_error(name + " holds " + array.type +
                                 ", expected int32 or int64: save the token ids with array.astype('int64')");
    if (array.shape.size() != 1)
        throw std::runtime_error(name + " has shape " + array.shape_text + ", expected (rows,): save array.reshape(-1)");
    read_numbers(stream, name, array);
    std::vector<std::int64_t> tokens(array.shape[0]);
    if (array.type == "int32") array.copy_to<std::int32_t>(tokens.begin());
    if (array.type == "int64") array.copy_to<std::int64_t>(tokens.begin());
    return tokens;
}

inline std::ifstream open_file(const std::string& path) {
    std::error_code status;  // where the path leads nowhere, opening it says why
    if (std::filesystem::is_directory(path, status))
        throw std::runtime_error(path + " is a directory, expected a file of numpy.save: name the file in it");
    std::ifstream stream(path, std::ios::binary);
    if (!stream)
        throw std::runtime_error("cannot open " + path + ": " + std::strerror(errno) +
                                 "; expected a file of numpy.save: give its path, absolute or from the folder you are in");
    if (!std::filesystem::is_regular_file(path, status))
        throw std::runtime_error(path + " is a pipe or a device, expected a file of numpy.save: write the array to a file");
    return stream;
}
inline xt::xtensor<float, 2> read_logits(const std::string& path) {
    std::ifstream stream = open_file(path);
    return read_logits(stream, path);
}
inline std::vector<std::int64_t> read_tokens(const std::string& path) {
    std::ifstream stream = open_file(path);
    return read_tokens(stream, path);
}
