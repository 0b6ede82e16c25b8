// A process that returns a line for a line.
#pragma once

#include <sys/types.h>
#include <cstdio>
#include <string>
#include <vector>

namespace bench {

class child {
public:
    // settings: NAME=VALUE, added to the environment. Throws std::runtime_error where the command does not start.
    child(std::vector<std::string> command, std::vector<std::string> settings);
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    // Ends its input, and waits for it.
    ~child();

    // Throws std::runtime_error where the process has ended, and where the line is `error: MESSAGE`.
    std::string ask(const std::string& question);
    // A line that it writes unasked.
    std::string read();

private:
    std::FILE* to_ = nullptr;
    std::FILE* from_ = nullptr;
    pid_t id_ = -1;
};

}  // namespace bench
