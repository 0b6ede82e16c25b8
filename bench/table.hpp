// The readable form of a run: a line per benchmark, below its question, which is what stands before the slash of its name.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// A counter of the benchmarks, and how it is printed.
struct column {
    std::string counter;
    int width, digits;
};

class table : public benchmark::BenchmarkReporter {
public:
    explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}

    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type == Run::RT_Aggregate) continue;
            const std::string& name = run.run_name.function_name;
            const std::size_t slash = name.find('/');
            if (const std::string question = name.substr(0, slash); question != question_) {
                std::printf("\n%-44s", question.c_str());
                for (const column& c : columns_) std::printf(" %*s", c.width, c.counter.c_str());
                std::printf("\n");
                question_ = question;
            }
            std::printf("  %-42s", name.substr(slash + 1).c_str());
            if (run.error_occurred)
                std::printf(" %s", run.error_message.c_str());
            else
                for (const column& c : columns_) std::printf(" %*.*f", c.width, c.digits, run.counters.at(c.counter).value);
            std::printf("\n");
            std::fflush(stdout);
        }
    }

private:
    std::vector<column> columns_;
    std::string question_;
};

}  // namespace bench
