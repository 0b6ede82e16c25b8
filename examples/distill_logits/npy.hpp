// An array of numbers in a .npy file, as numpy.save writes it.
//
// The reader is strict: the header is one of numpy.save, and the file holds as many bytes as its shape says. xtensor's own
// knows no half precision and does not compare the file's size with its shape. A refusal is one sentence: what the file has,
// what is expected, what to do.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <istream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct npy {
    std::string type;         // "float32" and the like
    std::size_t number_size;  // in bytes
    bool is_other_endian;     // than this machine
    std::string shape_text;   // "(20, 49152)"
    std::vector<std::size_t> shape;
    std::string bytes;  // the numbers, in the order of this machine

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

// The type by NumPy's name for it. '<V2' is what numpy.save makes of bfloat16, which ml_dtypes has and NumPy has not.
inline std::string type_name(const std::string& descr, char kind, std::size_t size) {
    static const std::map<char, std::string> numbered{{'f', "float"}, {'i', "int"}, {'u', "uint"}, {'c', "complex"}};
    if (numbered.contains(kind)) return numbered.at(kind) + std::to_string(8 * size);
    if (kind == 'b') return "bool";
    if (kind == 'O') return "Python objects";
    return descr == "'<V2'" ? "bfloat16" : "data of type " + descr;
}

// All but the numbers.
inline npy read_npy_header(std::istream& stream, const std::string& name) {
    const auto refuse = [&](const std::string& sentence) { throw std::runtime_error(name + sentence); };
    std::string start(10, ' ');
    stream.read(start.data(), 10);
    if (stream.gcount() == 0) refuse(" is empty, expected a file of numpy.save: save or copy it again");
    if (start.starts_with("PK")) refuse(" is a zip archive (.npz or .pt), expected one array: save it with numpy.save");
    if (!stream || !start.starts_with("\x93NUMPY")) refuse(" is no .npy file: save the array with numpy.save");
    const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(start[at])); };
    if (byte(6) != 1)
        refuse(" is a .npy file of version " + std::to_string(byte(6)) + ", expected 1: save it with numpy.save");
    std::string header(byte(8) + 256 * byte(9), ' ');
    if (!stream.read(header.data(), static_cast<std::streamsize>(header.size())))
        refuse(" ends within its header: save or copy it again");

    constexpr std::size_t longest_header = 256;  // of plain numbers in two dimensions; the expressions below are recursive
    static const std::regex dictionary(
        R"(\{'descr': (.+), 'fortran_order': (True|False), 'shape': (\((?:\d+, )*(?:\d+,?)?\)),? ?\} *\n)");
    static const std::regex plain(R"('([<>|])([A-Za-z])(\d{0,4})')");
    std::smatch found, descr;
    if (header.size() > longest_header || !std::regex_match(header, found, dictionary))
        refuse(" has another header than an array of plain numbers: save one with numpy.save");
    const std::string type = found[1];
    if (!std::regex_match(type, descr, plain)) refuse(" holds no plain numbers: save an array of them");
    if (found[2] == "True") refuse(" is in Fortran order, expected C order: save numpy.ascontiguousarray(array)");

    npy array{};
    array.number_size = descr[3].length() > 0 ? std::stoul(descr[3]) : 0;
    array.type = type_name(type, *descr[2].first, array.number_size);
    array.is_other_endian = descr[1] != "|" && (descr[1] == "<") != (std::endian::native == std::endian::little);
    array.shape_text = found[3];
    static const std::regex number(R"(\d+)");
    for (std::sregex_iterator at(array.shape_text.begin(), array.shape_text.end(), number), end; at != end; ++at)
        array.shape.push_back(std::strtoull(at->str().c_str(), nullptr, 10));
    return array;
}

// The numbers, of which the file holds exactly as many as the shape says.
inline void read_numbers(std::istream& stream, const std::string& name, npy& array) {
    double expected = static_cast<double>(array.number_size);  // in double, which no shape overflows
    for (const std::size_t extent : array.shape) expected *= static_cast<double>(extent);
    const auto begin = stream.tellg();
    const auto held = static_cast<std::size_t>(stream.seekg(0, std::ios::end).tellg() - begin);
    if (static_cast<double>(held) != expected) {
        std::ostringstream sentence;
        sentence << std::fixed << std::setprecision(0) << name << " holds " << held << " bytes of numbers, expected "
                 << expected << " for its shape " << array.shape_text << ": save or copy it again";
        throw std::runtime_error(sentence.str());
    }
    array.bytes.resize(held);
    stream.seekg(begin).read(array.bytes.data(), static_cast<std::streamsize>(held));
    if (!array.is_other_endian) return;
    for (auto at = array.bytes.begin(); at != array.bytes.end(); at += static_cast<std::ptrdiff_t>(array.number_size))
        std::reverse(at, at + static_cast<std::ptrdiff_t>(array.number_size));
}
