// The main example: distillation objectives on logits of a real language model.
//
//   distill_logits                                  the bundled rollouts of SmolLM2-135M-Instruct (examples/data/smollm2)
//   distill_logits STUDENT.npy TEACHER.npy          two files of logits [rows, vocabulary], as numpy.save writes them
//
//   --tokens FILE.npy     the tokens [rows] that the student sampled, for the objectives that read them
//   --table FILE          also writes the gradient steps to FILE, separated by tabs
//   --histogram FILE      also writes how many rows have which p(y*) to FILE, separated by tabs
//   --most-steps COUNT    gives up after so many gradient steps (10000)
//
// A row that contains NaN or +inf, or is -inf everywhere, is named and left out.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cost.hpp"
#include "escape.hpp"
#include "gap.hpp"
#include "logits_file.hpp"
#include "own_files.hpp"
#include "rollout.hpp"

namespace {

std::string steps(int taken, int most) { return taken > most ? "> " + std::to_string(most) : std::to_string(taken); }

void print_escape(const std::vector<escape::outcome>& outcomes, double below, int most) {
    std::printf(
        "\nGradient steps of size 1 on the student's logits until p(y*) >= 1/2, where 0 < p(y*) < %g and q(y*) > 1/2:\n",
        below);
    if (outcomes.empty()) {
        std::printf("  no row: wherever q(y*) > 1/2 the student gives y* %g or more already, or masks it\n", below);
        return;
    }
    std::printf("  %10s %8s | %10s %10s %10s %10s %10s | %10s %12s\n", "p(y*)", "q(y*)", "guidance", "forward KL", "JSD 0.5",
                "reverse KL", "sampled", "log(1/e)", "1/(e log1/e)");
    for (const auto& o : outcomes) {
        const double log_inverse = -o.at.log_p;
        std::printf("  %10.2e %8.3f | %10s %10s %10s %10s %10s | %10.1f %12.0f\n", std::exp(o.at.log_p), o.at.teacher_p,
                    steps(o.guidance, most).c_str(), steps(o.forward_kl, most).c_str(),
                    steps(o.jensen_shannon, most).c_str(), steps(o.reverse_kl, most).c_str(),
                    steps(o.sampled_reverse_kl, most).c_str(), log_inverse, std::exp(log_inverse) / log_inverse);
    }
    std::printf("  sampled: reverse KL estimated from one y ~ p per step\n");
}

// An open file, or a closed one where the path is empty.
std::ofstream open_to_write(const std::string& path) {
    std::ofstream file;
    if (!path.empty()) file.open(path);
    if (!file)
        throw std::runtime_error("cannot write " + path + ": " + std::strerror(errno) + "; give a path that can be written");
    return file;
}

void write_table(std::ostream& table, const std::vector<escape::outcome>& outcomes) {
    table << "epsilon\tteacher_p\tguidance\tforward_kl\tjensen_shannon\treverse_kl\tsampled_reverse_kl\n";
    for (const auto& o : outcomes)
        table << std::exp(o.at.log_p) << '\t' << o.at.teacher_p << '\t' << o.guidance << '\t' << o.forward_kl << '\t'
              << o.jensen_shannon << '\t' << o.reverse_kl << '\t' << o.sampled_reverse_kl << '\n';
}

std::vector<rollout> bundled() {
    const std::string folder = DISTILL_DATA_DIR "/smollm2/";
    const logits student = read_logits(folder + "student.npy");
    const auto tokens = read_tokens(folder + "tokens.npy");
    std::printf("Rows 10 to 19 are chosen for a low p(y*) in the large gap: a mean over the rows is not the rollouts'.\n");
    return {
        {"small gap (the student is the teacher, quantised further)", student, read_logits(folder + "teacher_small_gap.npy"),
         tokens},
        {"large gap (the teacher reads the worked answer)", student, read_logits(folder + "teacher_large_gap.npy"), tokens}};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Distillation objectives on logits of a language model"};
    std::string student, teacher, tokens, table, histogram;
    const double below = 1e-3;  // p(y*), where the student hardly has it
    int most_steps = 10000;
    CLI::Option* const own =
        app.add_option("student", student, "the student's logits, .npy [rows, vocabulary]; default: the bundled rollouts");
    own->needs(app.add_option("teacher", teacher, "the teacher's logits, .npy of the same shape"));
    app.add_option("--tokens", tokens, "the tokens that the student sampled, .npy [rows]")->needs(own);
    app.add_option("--table", table, "also write the steps to this file, separated by tabs");
    app.add_option("--histogram", histogram, "also write how many rows have which p(y*) to this file, separated by tabs");
    app.add_option("--most-steps", most_steps, "give up after so many steps")
        ->check(CLI::Range(0, 1000000000))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        const auto rollouts = own->count() == 0 ? bundled() : std::vector<rollout>{read_own(student, teacher, tokens)};
        std::ofstream table_file = open_to_write(table), histogram_file = open_to_write(histogram);
        for (const rollout& r : rollouts) gap::print(r);
        if (histogram_file.is_open()) gap::write_histogram(histogram_file, rollouts);
        cost::print(rollouts.back());
        const auto outcomes = escape::run(rollouts.back(), below, most_steps);
        print_escape(outcomes, below, most_steps);
        if (table_file.is_open()) write_table(table_file, outcomes);
    } catch (const std::exception& error) {
        std::fflush(stdout);  // what the sentence may point to
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
