#include "child.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstring>
#include <stdexcept>

extern char** environ;

namespace bench {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> all;
    for (std::string& s : strings) all.push_back(s.data());
    all.push_back(nullptr);
    return all;
}

}  // namespace

child::child(std::vector<std::string> command, std::vector<std::string> settings) {
    std::signal(SIGPIPE, SIG_IGN);  // a write to a process that has ended returns an error
    for (char** variable = environ; *variable != nullptr; ++variable) settings.emplace_back(*variable);
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("no pipe is left");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    const int failure =
        posix_spawnp(&id_, command.front().c_str(), &actions, nullptr, pointers(command).data(), pointers(settings).data());
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    to_ = fdopen(input[1], "w");
    from_ = fdopen(output[0], "r");
    if (failure != 0) throw std::runtime_error(command.front() + " does not start: " + std::strerror(failure));
}

child::~child() {
    std::fclose(to_);
    std::fclose(from_);
    waitpid(id_, nullptr, 0);
}

std::string child::ask(const std::string& question) {
    std::fprintf(to_, "%s\n", question.c_str());
    std::fflush(to_);
    return read();
}

std::string child::read() {
    std::string line;
    for (int c = std::fgetc(from_); c != '\n'; c = std::fgetc(from_)) {
        if (c == EOF) throw std::runtime_error("its process has ended");
        line += static_cast<char>(c);
    }
    if (line.starts_with("error: ")) throw std::runtime_error(line.substr(7));
    return line;
}

}  // namespace bench
