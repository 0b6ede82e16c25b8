/// The files that llama.cpp's llama-perplexity writes with --kl-divergence-base: a teacher's log-probabilities in 16 bits,
/// recorded once. Read from and written to bytes in memory: mapping or reading the file is the caller's.
///
///     8 bytes "_logits_"; int32 n_ctx, n_vocab, n_chunk; int32 tokens[n_chunk n_ctx]; then for each chunk one record for
///     each of its positions n_ctx / 2 to n_ctx - 2: float scale, float least, uint16 code[n_vocab], one more where n_vocab
///     is odd, which llama.cpp leaves as memory had it
///
/// log q = scale code + least. What is more than 16 nats below the row's largest has code 0, and reads as if it were at
/// -16: mostly four entries of five or more. Taken as given these have a mass that the teacher never gave them, and
/// KL(q || p) of a row comes out wrong by a factor of up to hundreds; left out and renormalised, by up to 7 percent, or by
/// nearly all of it where KL is 1e-5. As one bucket, whose mass is 1 less the rest, it is within 10 percent:
/// kld_file::logits and top_tokens make it so.
#pragma once

#include <distill/core/batch.hpp>
#include <distill/core/entry.hpp>
#include <distill/core/error.hpp>
#include <distill/core/number.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <distill/core/macros_of_others.hpp>

namespace distill::inline DISTILL_ABI {

static_assert(std::endian::native == std::endian::little, "distill: a .kld file is little-endian, as its reader has to be");

/// The shape of a .kld file.
struct kld_shape {
    std::int32_t context = 0;     ///< tokens per chunk
    std::int32_t vocabulary = 0;  ///< V
    std::int32_t chunks = 0;

    /// Positions of a chunk that have a record.
    [[nodiscard]] constexpr std::ptrdiff_t rows_per_chunk() const noexcept { return context - 1 - context / 2; }
    [[nodiscard]] constexpr std::ptrdiff_t rows() const noexcept { return rows_per_chunk() * chunks; }
    [[nodiscard]] constexpr std::size_t record_bytes() const noexcept {
        return 2 * (2 * ((static_cast<std::size_t>(vocabulary) + 1) / 2) + 4);
    }
    [[nodiscard]] constexpr std::size_t header_bytes() const noexcept {
        return 20 + 4 * static_cast<std::size_t>(context) * static_cast<std::size_t>(chunks);
    }
    [[nodiscard]] constexpr std::size_t bytes() const noexcept {
        return header_bytes() + static_cast<std::size_t>(rows()) * record_bytes();
    }
};

namespace detail {

inline constexpr char kld_magic[] = "_logits_";
inline constexpr std::int32_t largest_of_kld = 1 << 24;

inline bool is_kld_shape(const kld_shape& s) {
    return s.context >= 3 && s.context <= largest_of_kld && s.vocabulary >= 1 && s.vocabulary <= largest_of_kld &&
           s.chunks >= 1;
}

inline void refuse_kld_shape(const kld_shape& s) {
    report_error({"a .kld file of ", s.chunks, " chunks of ", s.context, " tokens with a vocabulary of ", s.vocabulary,
                  ", expected at least 1 chunk, 3 to 16777216 tokens and 1 to 16777216 entries"});
}

template <class Number>
Number read_at(const std::byte* address) {
    Number number;
    std::memcpy(&number, address, sizeof number);
    return number;
}

}  // namespace detail

/// A .kld file in memory, which outlives it. Everything that is wrong with a file is an invalid_input: with its header when
/// this is made, with a record when it is read, before anything is written.
class kld_file {
public:
    explicit kld_file(std::span<const std::byte> bytes) { open(bytes); }

    [[nodiscard]] const kld_shape& shape() const noexcept { return shape_; }
    [[nodiscard]] std::ptrdiff_t rows() const noexcept { return shape_.rows(); }

    /// Token i of all chunks, one after the other.
    [[nodiscard]] std::int32_t token(std::ptrdiff_t i) const { return detail::read_at<std::int32_t>(data_ + 20 + 4 * i); }

    /// The token that row `row` predicts: what batch.tokens has for it.
    [[nodiscard]] std::int32_t next_token(std::ptrdiff_t row) const {
        const std::ptrdiff_t chunk = row / shape_.rows_per_chunk(), in_chunk = row % shape_.rows_per_chunk();
        return token(chunk * shape_.context + shape_.context / 2 + in_chunk + 1);
    }

    /// log q of a row as the codes say it. Entries at the floor have that of the floor: not the teacher's.
    void log_probs(std::ptrdiff_t row, std::span<float> out) const {
        record r;
        if (!read(row, out.size(), r)) return;
        for (std::size_t v = 0; v < out.size(); ++v) out[v] = static_cast<float>(r.log_q(r.code(v)));
    }

    /// Logits of a teacher whose entries at the floor have together what the others leave of 1, each as much of it as the
    /// student gives it: the bucket that on_top_tokens makes, for every divergence that counts one, value and gradient.
    /// `student` is the row of its logits, at temperature 1; out may be no part of it.
    template <class Element>
    void logits(std::ptrdiff_t row, std::span<const Element> student, std::span<float> out) const {
        record r;
        if (student.size() != out.size())
            return report_error({"student has ", student.size(), " elements, out has ", out.size()});
        if (!read(row, out.size(), r)) return;
        double largest = masked_logit, sum = 0.0;
        for (std::size_t v = 0; v < out.size(); ++v)
            if (r.code(v) == 0) largest = (std::max)(largest, static_cast<double>(student[v]));
        for (std::size_t v = 0; v < out.size(); ++v)
            if (r.code(v) == 0) sum += std::exp(static_cast<double>(student[v]) - largest);
        const double rest = (std::max)(1.0 - r.mass, smallest_outside),
                     shift = sum > 0.0 ? std::log(rest / sum) - largest : 0.0;
        for (std::size_t v = 0; v < out.size(); ++v)
            out[v] = static_cast<float>(r.code(v) == 0 ? static_cast<double>(student[v]) + shift : r.log_q(r.code(v)));
    }

    /// The row's most probable tokens above the floor, as many as `ids` has places, with log q: batch.top_tokens and
    /// batch.top_log_probs. Places left over have ignored_label and 0.
    void top_tokens(std::ptrdiff_t row, std::span<std::int32_t> ids, std::span<float> log_probs) const {
        record r;
        if (ids.size() != log_probs.size())
            return report_error({"ids has ", ids.size(), " elements, log_probs has ", log_probs.size()});
        if (!read(row, static_cast<std::size_t>(shape_.vocabulary), r)) return;
        std::size_t count = 0;
        for (std::int32_t v = 0; v < shape_.vocabulary; ++v) {
            const auto code_of = [&](std::size_t i) { return r.code(static_cast<std::size_t>(ids[i])); };
            const unsigned code = r.code(static_cast<std::size_t>(v));
            if (code == 0 || (count == ids.size() && (count == 0 || code <= code_of(count - 1)))) continue;
            std::size_t place = count < ids.size() ? count++ : count - 1;
            for (; place > 0 && code_of(place - 1) < code; --place) ids[place] = ids[place - 1];
            ids[place] = v;
        }
        for (std::size_t i = 0; i < ids.size(); ++i) {
            log_probs[i] = i < count ? static_cast<float>(r.log_q(r.code(static_cast<std::size_t>(ids[i])))) : 0.0f;
            if (i >= count) ids[i] = static_cast<std::int32_t>(ignored_label);
        }
    }

private:
    struct record {
        const std::byte* codes = nullptr;
        double scale = 0.0, least = 0.0, mass = 0.0;

        [[nodiscard]] unsigned code(std::size_t v) const { return detail::read_at<std::uint16_t>(codes + 2 * v); }
        [[nodiscard]] double log_q(unsigned code) const { return scale * code + least; }
    };

    void open(std::span<const std::byte> bytes) {
        if (bytes.size() < 20 || std::memcmp(bytes.data(), detail::kld_magic, 8) != 0)
            return report_error("a .kld file begins with _logits_ and three numbers, this one does not");
        const kld_shape found{detail::read_at<std::int32_t>(bytes.data() + 8),
                              detail::read_at<std::int32_t>(bytes.data() + 12),
                              detail::read_at<std::int32_t>(bytes.data() + 16)};
        if (!detail::is_kld_shape(found)) return detail::refuse_kld_shape(found);
        const std::size_t of_chunk = kld_shape{found.context, found.vocabulary, 1}.bytes() - 20, given = bytes.size() - 20;
        if (given % of_chunk != 0 || given / of_chunk != static_cast<std::size_t>(found.chunks))
            return report_error({"a .kld file has ", bytes.size(), " bytes, its header speaks of ", found.chunks,
                                 " chunks of ", of_chunk, " bytes each, and of 20 more"});
        const std::byte* const tokens = bytes.data() + 20;
        for (std::size_t i = 0; i < static_cast<std::size_t>(found.context) * static_cast<std::size_t>(found.chunks); ++i) {
            const auto id = detail::read_at<std::int32_t>(tokens + 4 * i);
            if (id < 0 || id >= found.vocabulary)
                return report_error(
                    {"token ", i, " of a .kld file is ", id, ", expected a token id in [0, ", found.vocabulary, ")"});
        }
        shape_ = found;
        data_ = bytes.data();
    }

    /// False where the record is refused and the error handler has returned.
    bool read(std::ptrdiff_t row, std::size_t length, record& r) const {
        if (row < 0 || row >= rows()) return report_error({"row is ", row, ", expected 0 to ", rows() - 1}), false;
        if (length != static_cast<std::size_t>(shape_.vocabulary))
            return report_error({"out has ", length, " elements, the .kld file's vocabulary is ", shape_.vocabulary}), false;
        const std::byte* const at = data_ + shape_.header_bytes() + static_cast<std::size_t>(row) * shape_.record_bytes();
        r = {at + 8, detail::read_at<float>(at), detail::read_at<float>(at + 4), 0.0};
        if (!(is_finite(r.scale) && is_finite(r.least) && r.scale >= 0.0 && r.scale <= 1.0 && r.least <= 0.0 &&
              r.least >= -1e3))
            return report_error({"row ", row, " of a .kld file has the scale ", r.scale, " and the least log-probability ",
                                 r.least, ", which llama.cpp does not write"}),
                   false;
        for (std::size_t v = 0; v < length; ++v)
            if (r.code(v) != 0) r.mass += std::exp(r.log_q(r.code(v)));
        if (!(r.mass <= 1.0 + 1e-2))
            return report_error({"row ", row, " of a .kld file gives a probability of ", r.mass, ", expected at most 1"}),
                   false;
        return true;
    }

    kld_shape shape_{};
    const std::byte* data_ = nullptr;
};

/// Writes what stands before the records: `tokens` of all chunks, one after the other. out has shape.header_bytes().
inline void write_kld_header(const kld_shape& shape, std::span<const std::int32_t> tokens, std::span<std::byte> out) {
    if (!detail::is_kld_shape(shape)) return detail::refuse_kld_shape(shape);
    const auto count = static_cast<std::size_t>(shape.context) * static_cast<std::size_t>(shape.chunks);
    if (tokens.size() != count) return report_error({"tokens has ", tokens.size(), " elements, the .kld file has ", count});
    if (out.size() != shape.header_bytes())
        return report_error({"out has ", out.size(), " bytes, this part of the .kld file has ", shape.header_bytes()});
    std::memcpy(out.data(), detail::kld_magic, 8);
    const std::int32_t numbers[] = {shape.context, shape.vocabulary, shape.chunks};
    std::memcpy(out.data() + 8, numbers, sizeof numbers);
    std::memcpy(out.data() + 20, tokens.data(), 4 * count);
}

/// Writes the record of a row of logits. out has shape.record_bytes().
inline void write_kld_row(const kld_shape& shape, std::span<const float> logits, std::span<std::byte> out) {
    if (logits.size() != static_cast<std::size_t>(shape.vocabulary))
        return report_error({"logits has ", logits.size(), " elements, the .kld file's vocabulary is ", shape.vocabulary});
    if (out.size() != shape.record_bytes())
        return report_error({"out has ", out.size(), " bytes, this part of the .kld file has ", shape.record_bytes()});
    constexpr std::uint32_t minus_infinity = 0xff800000u;  // by its bits, as -ffast-math has no NaN
    float largest = static_cast<float>(masked_logit), smallest = -static_cast<float>(masked_logit);
    for (const float z : logits) {
        if (!is_finite(z) && std::bit_cast<std::uint32_t>(z) != minus_infinity)
            return report_error("logits are NaN or infinite");
        largest = (std::max)(largest, z), smallest = (std::min)(smallest, z);
    }
    if (!(largest > static_cast<float>(masked_logit))) return report_error("logits are masked throughout");
    smallest = (std::max)(smallest, largest - 16.0f);
    double sum = 0.0;
    for (const float z : logits) sum += std::exp(z - largest);
    const float scale = (largest - smallest) / 65535.0f, inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    const float of_row[] = {scale, smallest - largest - static_cast<float>(std::log(sum))};
    std::fill(out.begin(), out.end(), std::byte{0});
    std::memcpy(out.data(), of_row, sizeof of_row);
    for (std::size_t v = 0; v < logits.size(); ++v) {
        if (!(logits[v] > smallest)) continue;
        const auto code = static_cast<std::uint16_t>((std::min)(std::nearbyint((logits[v] - smallest) * inverse), 65535.0f));
        std::memcpy(out.data() + 8 + 2 * v, &code, 2);
    }
}

}  // namespace distill::inline DISTILL_ABI

#include <distill/core/macros_of_others.hpp>
