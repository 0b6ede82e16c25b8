// PyTorch from Python: bench/pytorch/host.py is asked for a call at a time, on copies of the buffers.
#include "child.hpp"
#include "peer.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace bench {
namespace {

const char* interpreter() { return std::getenv("DISTILL_BENCH_PYTHON"); }

// The files that the processes share, removed at the end.
class shared_folder {
public:
    explicit shared_folder(const peer_buffers& b) {
        std::string name = (std::filesystem::temp_directory_path() / "distill-bench-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the tensors can be made: " + name);
        path_ = name;
        write("student", b.student);
        write("teacher", b.teacher);
    }
    shared_folder(const shared_folder&) = delete;
    shared_folder& operator=(const shared_folder&) = delete;
    ~shared_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string path() const { return path_.string(); }

    void read_gradient(std::vector<float>& gradient) const {
        std::ifstream file(path_ / "gradient", std::ios::binary);
        if (!file.read(reinterpret_cast<char*>(gradient.data()), bytes(gradient)))
            throw std::runtime_error("its gradient is not as long as the logits");
    }

private:
    static std::streamsize bytes(const std::vector<float>& values) {
        return static_cast<std::streamsize>(values.size() * sizeof(float));
    }
    void write(const char* name, const std::vector<float>& values) const {
        std::ofstream file(path_ / name, std::ios::binary);
        if (!file.write(reinterpret_cast<const char*>(values.data()), bytes(values)))
            throw std::runtime_error("no room for the tensors in " + path());
    }

    std::filesystem::path path_;
};

// A Python with one of the two heaps, started on first use.
class host {
public:
    static host& with(heap memory, const peer_buffers& b) {
        static const shared_folder folder(b);
        static host as_it_comes(folder, {}), keeping(folder, {"MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=1000000000000"});
        return memory == heap::keeping ? keeping : as_it_comes;
    }

    std::string ask(const std::string& question) {
        start();
        return process_->ask(question);
    }
    const std::string& version() {
        start();
        return version_;
    }
    [[nodiscard]] const shared_folder& folder() const { return folder_; }

private:
    host(const shared_folder& folder, std::vector<std::string> settings) : folder_(folder), settings_(std::move(settings)) {}

    void start() {
        if (process_) return;
        process_ =
            std::make_unique<child>(std::vector<std::string>{interpreter(), DISTILL_BENCH_PYTORCH, folder_.path(),
                                                             std::to_string(peer_rows), std::to_string(peer_vocabulary)},
                                    settings_);
        version_ = process_->read();
    }

    const shared_folder& folder_;
    std::vector<std::string> settings_;
    std::unique_ptr<child> process_;
    std::string version_;
};

class pytorch_peer : public peer {
public:
    pytorch_peer(const std::string& objective, const std::string& way, heap memory)
        : what_(way + " " + objective), memory_(memory) {}

    double run(peer_buffers& b) override { return std::stod(host::with(memory_, b).ask("run " + what_)); }
    void fetch_gradient(peer_buffers& b) override {
        host& h = host::with(memory_, b);
        h.ask("gradient");
        h.folder().read_gradient(b.gradient);
    }
    double peak(peer_buffers& b) override { return std::stod(host::with(memory_, b).ask("peak " + what_)); }
    std::string version() override {
        return host::with(memory_, peer_buffers::shared(peer_rows, peer_vocabulary)).version();
    }

private:
    std::string what_;
    heap memory_;
};

}  // namespace

std::unique_ptr<peer> pytorch(const std::string& objective, const std::string& way, heap memory) {
    return std::make_unique<pytorch_peer>(objective, way, memory);
}

std::string pytorch_is_missing() {
    return interpreter() != nullptr ? "" : "DISTILL_BENCH_PYTHON names no Python with PyTorch; ./run bench sets it";
}

}  // namespace bench
