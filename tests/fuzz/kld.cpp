// The bytes of a .kld file: refused with a sentence, or every row of it is read, to finite numbers and inside the file.
#include <fuzz/fuzz.hpp>

#include <distill/interop/kld.hpp>

#include <cmath>
#include <string_view>
#include <vector>

namespace {

template <class Read>
bool reads(const Read& read) {
    try {
        read();
        return true;
    } catch (const distill::invalid_input& error) {
        fuzz::require(std::string_view(error.what()).starts_with("distill: "), "an error is a sentence of the library");
        return false;
    }
}

void check_row(const distill::kld_file& file, std::ptrdiff_t row) {
    const auto width = static_cast<std::size_t>(file.shape().vocabulary);
    std::vector<float> out(width, 7.0f), top(4, 7.0f);
    const std::vector<float> student(width, 0.5f);
    std::vector<std::int32_t> ids(4, 7);
    const bool sound = reads([&] { file.log_probs(row, out); });
    for (const float x : out) fuzz::require(sound ? std::isfinite(x) : x == 7.0f, "finite, or nothing is written");
    const bool has_logits = reads([&] { file.logits(row, std::span<const float>(student), out); });
    const bool has_top = reads([&] { file.top_tokens(row, ids, top); });
    fuzz::require(has_logits == sound && has_top == sound, "a record is sound for every reader or for none");
    for (const float x : out) fuzz::require(sound ? std::isfinite(x) : x == 7.0f, "finite, or nothing is written");
    for (const std::int32_t id : ids)
        fuzz::require(!sound ? id == 7 : id == -100 || (id >= 0 && id < file.shape().vocabulary), "ids of the vocabulary");
    const std::int32_t next = file.next_token(row);
    fuzz::require(next >= 0 && next < file.shape().vocabulary, "the next token is one of the vocabulary");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // On the heap, of the very size.
    const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                       reinterpret_cast<const std::byte*>(data) + size);
    reads([&] {
        const distill::kld_file file(bytes);
        for (std::ptrdiff_t row = 0; row < file.rows(); ++row) check_row(file, row);
    });
    return 0;
}
