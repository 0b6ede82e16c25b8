// A student and a teacher from one's own files: their shapes agree, and only rows of sound logits are kept.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>
#include <xtensor/xview.hpp>

#include "logits_file.hpp"
#include "rollout.hpp"

// What keeps a row out of every table, or null. By the digits: -ffast-math makes comparisons with NaN false.
inline const char* defect_of(const logits& z, std::size_t row) {
    constexpr std::uint32_t infinity = 0x7f800000, sign = 0x80000000;
    bool any_finite = false;
    for (std::size_t v = 0; v < z.shape(1); ++v) {
        const auto digits = std::bit_cast<std::uint32_t>(z(row, v));
        if ((digits & ~sign) > infinity) return "contains NaN";
        if (digits == infinity) return "contains +inf, or more than float32 can hold";
        any_finite = any_finite || digits != (infinity | sign);
    }
    return any_finite ? nullptr : "is -inf everywhere";
}

// The tokens of all rows, each in the vocabulary.
inline std::vector<std::int64_t> own_tokens(const std::string& path, const std::string& student_path,
                                            const logits& student) {
    const auto tokens = read_tokens(path);
    if (tokens.size() != student.shape(0))
        throw std::runtime_error(path + " holds " + std::to_string(tokens.size()) + " tokens, " + student_path + " " +
                                 std::to_string(student.shape(0)) +
                                 " rows, expected a token for every row: save both for the same positions");
    const auto last = static_cast<std::int64_t>(student.shape(1)) - 1;
    for (std::size_t row = 0; row < tokens.size(); ++row)
        if (tokens[row] < 0 || tokens[row] > last)
            throw std::runtime_error(path + " holds " + std::to_string(tokens[row]) + " in row " + std::to_string(row) +
                                     ", expected a token from 0 to " + std::to_string(last) +
                                     ": leave that row out of all three files");
    return tokens;
}

// Prints what is left out. The name says how many rows are left. `tokens_path` may be empty.
inline rollout read_own(const std::string& student_path, const std::string& teacher_path, const std::string& tokens_path) {
    rollout r{student_path + " and " + teacher_path, read_logits(student_path), read_logits(teacher_path), {}};
    if (r.student.shape() != r.teacher.shape()) {
        const auto text = [](const logits& z) {
            return "(" + std::to_string(z.shape(0)) + ", " + std::to_string(z.shape(1)) + ")";
        };
        throw std::runtime_error(student_path + " has shape " + text(r.student) + ", " + teacher_path + " " +
                                 text(r.teacher) +
                                 ", expected the same: save both for the same positions and the same vocabulary");
    }
    if (!tokens_path.empty()) r.tokens = own_tokens(tokens_path, student_path, r.student);

    const std::size_t rows = r.student.shape(0);
    std::vector<std::size_t> sound;
    for (std::size_t row = 0; row < rows; ++row) {
        const char *const of_student = defect_of(r.student, row), *const of_teacher = defect_of(r.teacher, row);
        if (of_student != nullptr) std::printf("left out: row %zu of %s %s\n", row, student_path.c_str(), of_student);
        if (of_teacher != nullptr) std::printf("left out: row %zu of %s %s\n", row, teacher_path.c_str(), of_teacher);
        if (of_student == nullptr && of_teacher == nullptr) sound.push_back(row);
    }
    if (sound.empty())
        throw std::runtime_error("no row is left, expected at least one of sound logits: mend the rows named above");
    if (sound.size() == rows) return r;
    r.name += ", " + std::to_string(sound.size()) + " of " + std::to_string(rows) + " rows";
    r.student = logits(xt::view(r.student, xt::keep(sound), xt::all()));
    r.teacher = logits(xt::view(r.teacher, xt::keep(sound), xt::all()));
    for (std::size_t i = 0; i < sound.size() && !r.tokens.empty(); ++i) r.tokens[i] = r.tokens[sound[i]];
    if (!r.tokens.empty()) r.tokens.resize(sound.size());
    return r;
}
