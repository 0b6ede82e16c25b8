// The readable form of a run: a line per benchmark, below its question, which is the part of its name before the slash.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// A counter of the benchmarks, and how it is printed. A question's lines have the columns whose counters its first line has.
struct column {
    std::string counter;
    int width, digits;
    bool with_range = false;  // the least and the greatest of the repetitions beside it
};

// A line has the medians of the repetitions, and the benchmark's label at its end.
class table : public benchmark::BenchmarkReporter {
public:
    explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}

    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& repetitions) override {
        const Run& first = repetitions.front();
        if (first.run_type == Run::RT_Aggregate) return;
        const std::string& name = first.run_name.function_name;
        const std::size_t slash = name.find('/');
        if (const std::string question = name.substr(0, slash); question != question_) {
            question_ = question;
            print_head(first);
        }
        std::printf("  %-*s", name_width, name.substr(slash + 1).c_str());
        if (first.error_occurred)
            std::printf(" %s", first.error_message.c_str());
        else
            print_counters(repetitions);
        std::printf("%s%s\n", first.report_label.empty() ? "" : "  ", first.report_label.c_str());
        std::fflush(stdout);
    }

private:
    static constexpr int name_width = 72, range_width = 15;

    void print_head(const Run& first) const {
        std::printf("\n%-*s", name_width + 2, question_.c_str());
        for (const column& c : columns_) {
            if (!first.error_occurred && !first.counters.contains(c.counter)) continue;
            std::printf(" %*s", c.width, c.counter.c_str());
            if (c.with_range) std::printf(" %-*s", range_width, "(range)");
        }
        std::printf("\n");
    }

    void print_counters(const std::vector<Run>& repetitions) const {
        for (const column& c : columns_) {
            if (!repetitions.front().counters.contains(c.counter)) continue;
            std::vector<double> values;
            for (const Run& run : repetitions) values.push_back(run.counters.at(c.counter).value);
            std::ranges::sort(values);
            std::printf(" %*.*f", c.width, c.digits, values[values.size() / 2]);
            if (!c.with_range) continue;
            char range[64] = "";
            if (values.size() > 1)
                std::snprintf(range, sizeof range, "(%.*f-%.*f)", c.digits, values.front(), c.digits, values.back());
            std::printf(" %-*s", range_width, range);
        }
    }

    std::vector<column> columns_;
    std::string question_;
};

}  // namespace bench
