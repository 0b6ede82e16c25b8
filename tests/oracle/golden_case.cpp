#include "golden_case.hpp"

#include <bit>
#include <fstream>

namespace distill_test {
namespace {

double number(const nlohmann::json& value) {
    if (!value.is_string()) return value.get<double>();
    if (value.get<std::string>() != "-inf") throw std::runtime_error("golden.json: the one number in quotes is -inf");
    return std::bit_cast<double>(std::uint64_t{0xfff0000000000000u});
}

std::vector<double> numbers(const nlohmann::json& array) {
    std::vector<double> values;
    if (!array.is_null())
        for (const auto& value : array) values.push_back(number(value));
    return values;
}

// Empty where the file leaves the key out.
std::vector<double> numbers(const nlohmann::json& object, const char* key) {
    return object.contains(key) ? numbers(object.at(key)) : std::vector<double>{};
}

std::vector<std::int64_t> integers(const nlohmann::json& array) {
    return array.is_null() ? std::vector<std::int64_t>{} : array.get<std::vector<std::int64_t>>();
}

golden_case read(const nlohmann::json& j) {
    return {
        .name = j.at("name"),
        .objective = j.at("objective"),
        .reduction = j.at("reduction"),
        .parameters = j.at("parameters"),
        .temperature = {j.at("temperature").at("student").get<double>(), j.at("temperature").at("teacher").get<double>()},
        .denominator = j.at("denominator").is_null() ? std::nullopt : std::optional(j.at("denominator").get<double>()),
        .rows = j.at("rows"),
        .vocabulary = j.at("vocabulary"),
        .student = numbers(j.at("student")),
        .teacher = numbers(j.at("teacher")),
        .weights = numbers(j.at("weights")),
        .old_log_probs = numbers(j.at("old_log_probs")),
        .teacher_log_probs = numbers(j.at("teacher_log_probs")),
        .advantages = numbers(j.at("advantages")),
        .temperatures = numbers(j, "temperatures"),
        .coefficients = numbers(j, "coefficients"),
        .sequence_log_ratios = {},
        .tokens = integers(j.at("tokens")),
        .teacher_tokens = integers(j.at("teacher_tokens")),
        .labels = integers(j.at("labels")),
        .sequence_offsets = integers(j.at("sequence_offsets")),
        .loss = number(j.at("loss")),
        .row_losses = numbers(j, "row_losses"),
        .gradient = numbers(j.at("gradient"))};
}

}  // namespace

const nlohmann::json& golden_file() {
    static const nlohmann::json file = nlohmann::json::parse(std::ifstream(DISTILL_TESTS_DIR "/oracle/golden.json"));
    return file;
}

const std::vector<golden_case>& golden_cases() {
    static const std::vector<golden_case> cases = [] {
        std::vector<golden_case> all;
        for (const auto& j : golden_file().at("cases")) all.push_back(read(j));
        return all;
    }();
    return cases;
}

const std::vector<golden_system>& golden_systems() {
    static const std::vector<golden_system> systems = [] {
        std::vector<golden_system> all;
        for (const auto& j : golden_file().at("systems"))
            all.push_back({read(j), j.at("system"), number(j.at("factor")), number(j.at("excess"))});
        return all;
    }();
    return systems;
}

}  // namespace distill_test
