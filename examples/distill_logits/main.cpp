// The main example: distillation objectives on logits of a real language model.
//
//   distill_logits                                  the bundled rollouts of SmolLM2-135M-Instruct (examples/data/smollm2)
//   distill_logits STUDENT.npy TEACHER.npy          any two files of logits [rows, vocabulary]

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "escape.hpp"
#include "gap.hpp"
#include "logits_file.hpp"
#include "rollout.hpp"

namespace {

template <class Objective>
void print_cost(const char* name, const Objective& objective, const distill::batch<float>& in) {
    const distill::loss f{objective, distill::eigen{}, distill::token_mean{}};
    logits gradient =
        logits::from_shape({static_cast<std::size_t>(in.student.rows), static_cast<std::size_t>(in.student.vocabulary)});
    distill::loss_result result;
    double best = 1e9;
    for (int repeat = 0; repeat < 20; ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        result = f(in, distill::view_of(gradient));
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    double squares = 0.0;
    for (const float g : gradient) squares += static_cast<double>(g) * static_cast<double>(g);
    std::printf("  %-34s %12.6f %14.6e %10.3f\n", name, result.value, std::sqrt(squares), best * 1e3);
}

void print_costs(const rollout& r) {
    distill::batch<float> in = r.batch();
    std::printf("\nLoss, gradient norm and time of one call with gradient, %s:\n", r.name.c_str());
    std::printf("  %-34s %12s %14s %10s\n", "objective", "loss", "|gradient|", "ms");
    print_cost("forward_kl", distill::forward_kl{}, in);
    print_cost("reverse_kl", distill::reverse_kl{}, in);
    print_cost("jensen_shannon{0.5}", distill::jensen_shannon{0.5}, in);
    print_cost("total_variation", distill::total_variation{}, in);
    print_cost("squared_hellinger", distill::squared_hellinger{}, in);
    print_cost("entropy", distill::entropy{}, in);
    print_cost("forward + reverse + JSD, fused",
               distill::forward_kl{} + distill::reverse_kl{} + distill::jensen_shannon{0.5}, in);
    print_cost("teacher_guidance", distill::teacher_guidance{}, in);
    if (r.tokens.empty()) return;
    print_cost("cross_entropy on y", distill::cross_entropy{}, in);
    // As at the first update of a step: the old policy is the student itself, and every rollout was rewarded.
    std::vector<double> old_log_probs = probability_of(r.tokens, r.student);
    for (double& p : old_log_probs) p = std::log(p);
    const std::vector<double> advantages(r.tokens.size(), 1.0);
    in.old_log_probs = old_log_probs;
    in.advantages = advantages;
    print_cost("tgpo, advantage 1", distill::tgpo{}, in);
}

std::string steps(int taken, int most) { return taken > most ? "> " + std::to_string(most) : std::to_string(taken); }

void print_escape(const std::vector<escape::outcome>& outcomes, int most) {
    std::printf(
        "\nGradient steps of size 1 on the student's logits until p(y*) >= 1/2, where the teacher gives y* more than "
        "1/2:\n");
    std::printf("  %10s %8s | %10s %10s %10s %10s %10s | %10s %12s\n", "p(y*)", "q(y*)", "guidance", "forward KL", "JSD 0.5",
                "reverse KL", "sampled", "log(1/e)", "1/(e log1/e)");
    for (const auto& o : outcomes) {
        const double e = o.at.epsilon;
        std::printf("  %10.2e %8.3f | %10s %10s %10s %10s %10s | %10.1f %12.0f\n", e, o.at.teacher_p,
                    steps(o.guidance, most).c_str(), steps(o.forward_kl, most).c_str(),
                    steps(o.jensen_shannon, most).c_str(), steps(o.reverse_kl, most).c_str(),
                    steps(o.sampled_reverse_kl, most).c_str(), -std::log(e), 1.0 / (e * -std::log(e)));
    }
    std::printf("  sampled: reverse KL estimated from one y ~ p per step\n");
}

void write_table(const std::string& path, const std::vector<escape::outcome>& outcomes) {
    std::ofstream table(path);
    table << "epsilon\tteacher_p\tguidance\tforward_kl\tjensen_shannon\treverse_kl\tsampled_reverse_kl\n";
    for (const auto& o : outcomes)
        table << o.at.epsilon << '\t' << o.at.teacher_p << '\t' << o.guidance << '\t' << o.forward_kl << '\t'
              << o.jensen_shannon << '\t' << o.reverse_kl << '\t' << o.sampled_reverse_kl << '\n';
}

std::vector<rollout> bundled() {
    const std::string folder = DISTILL_DATA_DIR "/smollm2/";
    const logits student = read_logits(folder + "student.npy");
    const auto tokens = read_tokens(folder + "tokens.npy");
    return {
        {"small gap (the student is the teacher, quantised further)", student, read_logits(folder + "teacher_small_gap.npy"),
         tokens},
        {"large gap (the teacher reads the worked answer)", student, read_logits(folder + "teacher_large_gap.npy"), tokens}};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Distillation objectives on logits of a language model"};
    std::string student, teacher, tokens, table, histogram;
    int most_steps = 10000;
    app.add_option("student", student, "the student's logits, .npy [rows, vocabulary]; default: the bundled rollouts");
    app.add_option("teacher", teacher, "the teacher's logits, .npy of the same shape");
    app.add_option("--tokens", tokens, "the sampled tokens, .npy [rows]");
    app.add_option("--table", table, "also write the steps to this file, separated by tabs");
    app.add_option("--histogram", histogram, "also write how many rows have which p(y*) to this file, separated by tabs");
    app.add_option("--most-steps", most_steps, "give up after so many steps");
    CLI11_PARSE(app, argc, argv);
    try {
        if (student.empty() != teacher.empty()) throw std::runtime_error("give both the student's and the teacher's logits");
        std::vector<rollout> rollouts;
        if (student.empty())
            rollouts = bundled();
        else
            rollouts.push_back({student + " and " + teacher, read_logits(student), read_logits(teacher),
                                tokens.empty() ? std::vector<std::int64_t>{} : read_tokens(tokens)});
        for (const rollout& r : rollouts) gap::print(r);
        print_costs(rollouts.back());
        const auto outcomes = escape::run(rollouts.back(), 1e-3, most_steps);
        print_escape(outcomes, most_steps);
        if (!table.empty()) write_table(table, outcomes);
        if (!histogram.empty()) gap::write_histogram(histogram, rollouts);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
