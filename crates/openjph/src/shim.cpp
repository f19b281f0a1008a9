// The narrow C face of OpenJPH: whole images in, whole codestreams out, and back. No exception leaves; nothing is
// printed; no memory changes hands. Callers pass only codestreams whose structure they have walked (packets.rs): older
// versions of the library trust the lengths that they read.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <stdexcept>

// ojph_arch.h comes first: the others need it and do not say so.
#if __has_include(<openjph/ojph_codestream.h>)
#include <openjph/ojph_arch.h>
#include <openjph/ojph_codestream.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_message.h>
#include <openjph/ojph_params.h>
#else
#include <ojph_arch.h>
#include <ojph_codestream.h>
#include <ojph_file.h>
#include <ojph_mem.h>
#include <ojph_message.h>
#include <ojph_params.h>
#endif

namespace {

// Mirrors ffi.rs.
struct Shape {
  uint32_t width;
  uint32_t height;
  uint32_t components;
  uint32_t depth;
  uint32_t is_signed;
  uint32_t word;  // bytes of a sample outside, 1 or 2
  uint32_t levels;
  uint32_t color_transform;
};

enum Outcome : int32_t { DONE = 0, FAILED = 1, FULL = 2, MISMATCH = 3 };

std::once_flag once;

// The library tells of everything, damaged input included, on the streams it is given; version 0.9 ignores message
// handlers. Errors it throws all the same.
void prepare() {
  std::call_once(once, [] {
    std::FILE *nowhere = std::fopen("/dev/null", "w");
    if (nowhere == nullptr) throw std::runtime_error("no null device");
    ojph::set_info_stream(nowhere);
    ojph::set_warning_stream(nowhere);
    ojph::set_error_stream(nowhere);
    // The first codestream fills the library's tables of functions, which older versions do not guard.
    ojph::codestream first;
    first.close();
  });
}

struct Full final {};

class Output final : public ojph::outfile_base {
 public:
  Output(uint8_t *to, size_t capacity) : to_(to), capacity_(capacity) {}
  size_t write(const void *from, size_t size) override {
    if (size > capacity_ - size_) throw Full();
    if (size != 0) std::memcpy(to_ + size_, from, size);
    size_ += size;
    return size;
  }
  ojph::si64 tell() override { return static_cast<ojph::si64>(size_); }
  size_t size() const { return size_; }

 private:
  uint8_t *to_;
  size_t capacity_;
  size_t size_ = 0;
};

template <typename T>
void widen(const uint8_t *from, size_t stride, ojph::si32 *to, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    T sample;
    std::memcpy(&sample, from + i * stride, sizeof(T));
    to[i] = sample;
  }
}

template <typename T>
void narrow(const ojph::si32 *from, uint8_t *to, size_t stride, size_t count, ojph::si32 low, ojph::si32 high) {
  for (size_t i = 0; i < count; ++i) {
    // What lossy coding overshoots is cut.
    const ojph::si32 value = from[i] < low ? low : from[i] > high ? high : from[i];
    const T sample = static_cast<T>(value);
    std::memcpy(to + i * stride, &sample, sizeof(T));
  }
}

void line_in(const Shape &shape, const uint8_t *row, ojph::si32 *line) {
  const size_t stride = size_t(shape.word) * shape.components;
  if (shape.word == 1) {
    shape.is_signed ? widen<int8_t>(row, stride, line, shape.width) : widen<uint8_t>(row, stride, line, shape.width);
  } else {
    shape.is_signed ? widen<int16_t>(row, stride, line, shape.width) : widen<uint16_t>(row, stride, line, shape.width);
  }
}

void line_out(const Shape &shape, const ojph::si32 *line, uint8_t *row) {
  const size_t stride = size_t(shape.word) * shape.components;
  const ojph::si32 low = shape.is_signed ? -(1 << (shape.depth - 1)) : 0;
  const ojph::si32 high = shape.is_signed ? (1 << (shape.depth - 1)) - 1 : (1 << shape.depth) - 1;
  if (shape.word == 1) {
    narrow<uint8_t>(line, row, stride, shape.width, low, high);
  } else {
    narrow<uint16_t>(line, row, stride, shape.width, low, high);
  }
}

int32_t encode(const Shape &shape, const uint8_t *pixels, uint8_t *to, size_t capacity, size_t *written) {
  prepare();
  ojph::codestream stream;
  ojph::param_siz siz = stream.access_siz();
  siz.set_image_extent(ojph::point(shape.width, shape.height));
  siz.set_num_components(shape.components);
  for (uint32_t c = 0; c < shape.components; ++c)
    siz.set_component(c, ojph::point(1, 1), shape.depth, shape.is_signed != 0);
  siz.set_tile_size(ojph::size(shape.width, shape.height));
  ojph::param_cod cod = stream.access_cod();
  cod.set_num_decomposition(shape.levels);
  cod.set_block_dims(64, 64);
  cod.set_progression_order("RPCL");
  cod.set_color_transform(shape.color_transform != 0);
  cod.set_reversible(true);
  stream.set_planar(false);
  Output output(to, capacity);
  stream.write_headers(&output);
  const size_t row_bytes = size_t(shape.width) * shape.components * shape.word;
  uint32_t rows[3] = {0, 0, 0};
  ojph::ui32 component = 0;
  ojph::line_buf *line = stream.exchange(nullptr, component);
  const uint64_t total = uint64_t(shape.height) * shape.components;
  for (uint64_t i = 0; i < total; ++i) {
    if (line == nullptr || component >= shape.components || rows[component] >= shape.height) return FAILED;
    line_in(shape, pixels + rows[component]++ * row_bytes + size_t(component) * shape.word, line->i32);
    line = stream.exchange(line, component);
  }
  stream.flush();
  stream.close();
  *written = output.size();
  return DONE;
}

int32_t decode(const uint8_t *data, size_t size, const Shape &shape, uint32_t reduce, uint8_t *pixels) {
  prepare();
  ojph::mem_infile input;
  input.open(data, size);
  ojph::codestream stream;
  stream.read_headers(&input);
  if (reduce != 0) stream.restrict_input_resolution(reduce, reduce);
  stream.set_planar(false);
  ojph::param_siz siz = stream.access_siz();
  if (siz.get_num_components() != shape.components) return MISMATCH;
  for (uint32_t c = 0; c < shape.components; ++c)
    if (siz.get_recon_width(c) != shape.width || siz.get_recon_height(c) != shape.height) return MISMATCH;
  stream.create();
  const size_t row_bytes = size_t(shape.width) * shape.components * shape.word;
  uint32_t rows[3] = {0, 0, 0};
  const uint64_t total = uint64_t(shape.height) * shape.components;
  for (uint64_t i = 0; i < total; ++i) {
    ojph::ui32 component = 0;
    ojph::line_buf *line = stream.pull(component);
    if (line == nullptr || component >= shape.components || rows[component] >= shape.height) return FAILED;
    line_out(shape, line->i32, pixels + rows[component]++ * row_bytes + size_t(component) * shape.word);
  }
  stream.close();
  return DONE;
}

}  // namespace

extern "C" int32_t mingying_htj2k_encode(const Shape *shape, const uint8_t *pixels, uint8_t *to, size_t capacity,
                                         size_t *written) noexcept {
  try {
    return encode(*shape, pixels, to, capacity, written);
  } catch (const Full &) {
    return FULL;
  } catch (...) {
    return FAILED;
  }
}

extern "C" int32_t mingying_htj2k_decode(const uint8_t *data, size_t size, const Shape *shape, uint32_t reduce,
                                         uint8_t *pixels) noexcept {
  try {
    return decode(data, size, *shape, reduce, pixels);
  } catch (...) {
    return FAILED;
  }
}
