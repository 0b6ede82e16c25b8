// The bytes of a .npy file as the example of distillation reads it: refused with a sentence, or read to the last number.
#include <fuzz/fuzz.hpp>

#include <distill_logits/logits_file.hpp>

#include <sstream>
#include <string_view>

namespace {

template <class Read>
void check(std::string_view file, const Read& read) {
    std::istringstream stream{std::string(file)};
    try {
        const auto numbers = read(stream);
        fuzz::require(numbers.size() <= file.size(), "no more numbers are read than the file holds");
    } catch (const std::runtime_error& error) {
        fuzz::require(std::string_view(error.what()).starts_with("input "), "an error names the file");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view file(reinterpret_cast<const char*>(data), size);
    check(file, [](std::istream& s) { return read_logits(s, "input"); });
    check(file, [](std::istream& s) { return read_tokens(s, "input"); });
    return 0;
}
