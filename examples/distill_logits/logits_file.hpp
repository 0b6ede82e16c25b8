// Logits and tokens from NumPy's .npy files.
//
// The reader is strict: the header is the one that NumPy writes for the arrays meant here, and the file holds as many bytes as
// its shape says. xtensor's own knows no half precision and takes a file's word for its size.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <istream>
#include <iterator>
#include <regex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

// What stands in a file: '<f4' and the like, one or two extents, and the numbers.
struct npy {
    std::string type;
    std::vector<std::size_t> shape;
    std::string bytes;

    // The numbers as Out, where they are stored as Stored.
    template <class Stored, class Out>
    void copy_to(Out out) const {
        for (std::size_t at = 0; at < bytes.size(); at += sizeof(Stored)) {
            Stored value;
            std::memcpy(&value, bytes.data() + at, sizeof value);
            *out++ = static_cast<typename std::iterator_traits<Out>::value_type>(value);
        }
    }
};

inline npy read_npy(std::istream& stream, const std::string& name) {
    std::string start(10, ' '), header;
    if (!stream.read(start.data(), 10) || !start.starts_with("\x93NUMPY\x01"))
        throw std::runtime_error(name + " is no .npy file of version 1");
    constexpr std::size_t longest_header = 256;
    const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(start[at])); };
    header.resize(std::min(byte(8) + 256 * byte(9), longest_header));
    static const std::regex dictionary(
        R"(\{'descr': '(<[fi]([248]))', 'fortran_order': (True|False), 'shape': \((\d{1,9}),(?: (\d{1,9}))?\), \} *\n)");
    std::smatch found;
    if (!stream.read(header.data(), static_cast<std::streamsize>(header.size())) ||
        !std::regex_match(header, found, dictionary))
        throw std::runtime_error(name + " holds no array of numbers of one or two dimensions");
    if (found[3] == "True") throw std::runtime_error(name + " is in Fortran order, expected C order");

    npy file{.type = found[1], .shape = {std::stoul(found[4])}, .bytes = {}};
    if (found[5].matched) file.shape.push_back(std::stoul(found[5]));
    std::size_t size = std::stoul(found[2]);
    for (const std::size_t extent : file.shape) size *= extent;
    const auto begin = stream.tellg();
    const auto held = static_cast<std::size_t>(stream.seekg(0, std::ios::end).tellg() - begin);
    if (held != size)
        throw std::runtime_error(name + " holds " + std::to_string(held) + " bytes of numbers, its shape asks for " +
                                 std::to_string(size));
    file.bytes.resize(size);
    stream.seekg(begin).read(file.bytes.data(), static_cast<std::streamsize>(size));
    return file;
}

// A matrix of logits [rows, vocabulary] stored as float16, float32 or float64. Half precision is exact in float.
inline xt::xtensor<float, 2> read_logits(std::istream& stream, const std::string& name) {
    const npy file = read_npy(stream, name);
    if (file.shape.size() != 2) throw std::runtime_error(name + " has 1 dimension, expected 2");
    auto matrix = xt::xtensor<float, 2>::from_shape({file.shape[0], file.shape[1]});
    if (file.type == "<f2")
        file.copy_to<Eigen::half>(matrix.data());
    else if (file.type == "<f4")
        file.copy_to<float>(matrix.data());
    else if (file.type == "<f8")
        file.copy_to<double>(matrix.data());
    else
        throw std::runtime_error(name + " holds " + file.type + ", expected <f2, <f4 or <f8");
    return matrix;
}

// One token id per row, int32 or int64.
inline std::vector<std::int64_t> read_tokens(std::istream& stream, const std::string& name) {
    const npy file = read_npy(stream, name);
    if (file.shape.size() != 1) throw std::runtime_error(name + " has 2 dimensions, expected 1");
    std::vector<std::int64_t> tokens(file.shape[0]);
    if (file.type == "<i4")
        file.copy_to<std::int32_t>(tokens.begin());
    else if (file.type == "<i8")
        file.copy_to<std::int64_t>(tokens.begin());
    else
        throw std::runtime_error(name + " holds " + file.type + ", expected <i4 or <i8");
    return tokens;
}

inline std::ifstream open_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw std::runtime_error("cannot open " + path);
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
