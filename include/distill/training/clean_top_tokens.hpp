/// A teacher's most probable tokens as servers send them, made into what batch.top_tokens takes.
#pragma once

#include <distill/core/batch.hpp>
#include <distill/core/error.hpp>
#include <distill/training/detail/arguments.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace distill::inline DISTILL_ABI {

/// What clean_top_tokens has taken out.
struct cleaned_tokens {
    std::ptrdiff_t duplicates = 0;  ///< of a token that stands further in front in its row
    std::ptrdiff_t outside = 0;     ///< ids that are no token of the vocabulary
};

/// Puts ignored_label and the log-probability 0 in the place of every id that is outside [0, vocabulary), and of every one
/// that its row has had before: the first one stays. ids and log_probs are [rows, width]; a row with fewer tokens has
/// ignored_label in the rest. vLLM sends k or k + 1 tokens a row, the one of the text first and then sometimes again;
/// models with a padded head send ids that their tokenizer does not have. The mass of what is taken out is left to the
/// rest: nothing is renormalised. Errors: sizes that do not fit, an empty vocabulary.
template <std::signed_integral Integer, std::floating_point Float>
cleaned_tokens clean_top_tokens(std::ptrdiff_t rows, std::ptrdiff_t vocabulary, std::span<Integer> ids,
                                std::span<Float> log_probs) {
    cleaned_tokens out;
    if (vocabulary < 1) return report_error({"vocabulary is ", vocabulary, ", expected at least 1"}), out;
    if (!detail::are_alike({"ids", ids}, {{"log_probs", log_probs}})) return out;
    const auto size = static_cast<std::ptrdiff_t>(ids.size());
    if (rows < 0 || (rows == 0 ? size != 0 : size % rows != 0))
        return report_error({"ids has ", size, " elements, expected as many for each of ", rows, " rows"}), out;
    const auto width = static_cast<std::size_t>(rows == 0 ? 0 : size / rows);
    for (std::size_t first = 0; first < ids.size(); first += width)
        for (std::size_t i = first; i < first + width; ++i) {
            if (ids[i] == ignored_label) continue;
            const bool outside = ids[i] < 0 || ids[i] >= vocabulary;
            bool again = false;
            for (std::size_t j = first; j < i; ++j) again = again || ids[j] == ids[i];
            if (!outside && !again) continue;
            (outside ? out.outside : out.duplicates) += 1;
            ids[i] = static_cast<Integer>(ignored_label);
            log_probs[i] = Float(0);
        }
    return out;
}

}  // namespace distill::inline DISTILL_ABI
