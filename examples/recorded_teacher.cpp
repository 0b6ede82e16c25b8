// A teacher that llama.cpp has recorded: a .kld file, mapped into memory, and how far a student is from it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdint>
#include <cstdio>
#include <distill/distill.hpp>
#include <distill/interop/kld.hpp>
#include <span>
#include <vector>

// The bytes of a file, none where it cannot be mapped.
class mapped_file {
public:
    explicit mapped_file(const char* path) {
        const int file = open(path, O_RDONLY);
        struct stat about{};
        if (file >= 0 && fstat(file, &about) == 0 && about.st_size > 0) {
            void* const at = mmap(nullptr, static_cast<std::size_t>(about.st_size), PROT_READ, MAP_PRIVATE, file, 0);
            if (at != MAP_FAILED) bytes_ = {static_cast<const std::byte*>(at), static_cast<std::size_t>(about.st_size)};
        }
        if (file >= 0) close(file);
    }
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;
    ~mapped_file() {
        if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
    }
    std::span<const std::byte> bytes() const { return bytes_; }

private:
    std::span<const std::byte> bytes_;
};

// Stands in for llama-perplexity: one chunk of six tokens, whose last two positions but one are recorded.
void record(const char* path) {
    const distill::kld_shape shape{.context = 6, .vocabulary = 5, .chunks = 1};
    const std::vector<std::int32_t> tokens{0, 3, 1, 4, 0, 2};
    const std::vector<float> teacher{4, 1, 0, -1, -20, 0, 1, 3, -30, -18};
    std::vector<std::byte> bytes(shape.bytes());
    std::span<std::byte> rest(bytes);
    distill::write_kld_header(shape, tokens, rest.first(shape.header_bytes()));
    rest = rest.subspan(shape.header_bytes());
    for (std::size_t row = 0; row < 2; ++row, rest = rest.subspan(shape.record_bytes()))
        distill::write_kld_row(shape, std::span(teacher).subspan(5 * row, 5), rest.first(shape.record_bytes()));
    std::FILE* const file = std::fopen(path, "wb");
    if (file == nullptr) return;
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
}

int main(int count, char** arguments) {
    const char* const path = count > 1 ? arguments[1] : "recorded_teacher.kld";
    if (count <= 1) record(path);
    const mapped_file mapped(path);
    const distill::kld_file recorded(mapped.bytes());
    const int rows = static_cast<int>(recorded.rows()), vocabulary = recorded.shape().vocabulary;

    // The student's logits at the recorded positions. Here it gives every entry the same.
    const auto width = static_cast<std::size_t>(vocabulary);
    std::vector<float> student(static_cast<std::size_t>(rows) * width, 0.0f), teacher(student.size());
    std::vector<std::int32_t> next;
    for (int row = 0; row < rows; ++row) {
        const std::size_t first = static_cast<std::size_t>(row) * width;
        recorded.logits(row, std::span<const float>(student).subspan(first, width),
                        std::span(teacher).subspan(first, width));
        next.push_back(recorded.next_token(row));
    }
    std::vector<distill::row_diagnosis> of_rows(static_cast<std::size_t>(rows));
    distill::diagnose(
        distill::batch<float>{
            .student = {student.data(), rows, vocabulary}, .teacher = {teacher.data(), rows, vocabulary}, .tokens = next},
        distill::eigen{}, std::span(of_rows));
    const distill::diagnosis all = distill::summarize(of_rows);
    std::printf("%d rows of %d entries\n", rows, vocabulary);
    std::printf("KL(q||p) %.4f  perplexity of the student %.3f, of the teacher %.3f\n", all.forward_kl.mean,
                all.student_perplexity, all.teacher_perplexity);
}
