//! How fast and how small: `cargo run --release -p mingying-dicom --example codecs -- FILE...` encodes and decodes the
//! native frames of each file again and again and prints images per CPU-second, both ways, and the ratio. Explicit VR
//! Little Endian files only. The numbers of docs/adr/0010 come from here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mingying_dicom::codec::{
    self, HTJ2K_LOSSLESS_RPCL, JPEG_LS_LOSSLESS, PixelDescription, RLE_LOSSLESS, htj2k_resolutions,
};
use mingying_dicom::{Limits, part10, read_data_set};
use std::path::Path;

/// Nanoseconds that this thread has run.
fn cpu() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel with schedstat");
    told.split(' ').next().unwrap().parse().unwrap()
}

/// Images per CPU-second of `work`, which does `images` at a time.
fn rate(images: usize, mut work: impl FnMut()) -> f64 {
    work();
    let (start, mut rounds) = (cpu(), 0);
    while cpu() - start < 1_000_000_000 {
        work();
        rounds += 1;
    }
    (rounds * images) as f64 / ((cpu() - start) as f64 / 1e9)
}

fn frames(path: &str) -> Option<(PixelDescription, Vec<Vec<u8>>)> {
    let file = std::fs::read(path).ok()?;
    let head = part10::read_header(&file).ok()??;
    if head.transfer_syntax != codec::EXPLICIT_VR_LITTLE_ENDIAN {
        return None;
    }
    let data_set = file.get(head.data_set_at..)?;
    let header = read_data_set(data_set, &head.transfer_syntax, Limits::default()).ok()?;
    let image = PixelDescription::read(&header).ok()??;
    let at = data_set.windows(5).rposition(|w| w == [0xe0, 0x7f, 0x10, 0x00, b'O'])?;
    let pixels = data_set.get(at + 12..)?;
    let len = image.rows as usize * image.columns as usize * usize::from(image.samples * image.bits_allocated / 8);
    let frames = pixels.chunks_exact(len).take(8).map(|frame| {
        // In the order that codecs take.
        codec::decode(codec::EXPLICIT_VR_LITTLE_ENDIAN, frame, &image).unwrap().bytes
    });
    Some((image, frames.collect()))
}

fn main() {
    println!("{:<28} {:>14} {:<8} {:>9} {:>9} {:>6}", "file", "image", "codec", "encode/s", "decode/s", "ratio");
    for path in std::env::args().skip(1) {
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((image, frames)) = frames(&path) else {
            println!("{name}: no native little-endian image");
            continue;
        };
        let size = format!("{}x{}x{}", image.columns, image.rows, image.bits_allocated * image.samples);
        for (codec_name, syntax) in
            [("HTJ2K", HTJ2K_LOSSLESS_RPCL), ("JPEG-LS", JPEG_LS_LOSSLESS), ("RLE", RLE_LOSSLESS)]
        {
            let coded: Vec<_> = frames.iter().map(|f| codec::encode(syntax, f, &image).unwrap()).collect();
            let stored = PixelDescription { photometric: coded[0].photometric, planar: false, ..image };
            let encode = rate(frames.len(), || {
                for frame in &frames {
                    codec::encode(syntax, frame, &image).unwrap();
                }
            });
            let decode = rate(frames.len(), || {
                for frame in &coded {
                    codec::decode(syntax, &frame.bytes, &stored).unwrap();
                }
            });

            let native: usize = frames.iter().map(Vec::len).sum();
            let ratio = native as f64 / coded.iter().map(|c| c.bytes.len()).sum::<usize>() as f64;
            println!("{name:<28} {size:>14} {codec_name:<8} {encode:>9.1} {decode:>9.1} {ratio:>6.2}");
            if syntax == HTJ2K_LOSSLESS_RPCL {
                let whole = coded[0].bytes.len() as f64;
                let parts: Vec<String> = htj2k_resolutions(&coded[0].bytes)
                    .unwrap()
                    .iter()
                    .map(|r| format!("{}x{} {:.1}%", r.width, r.height, 100.0 * r.end as f64 / whole))
                    .collect();
                println!("{:<28} prefixes: {}", "", parts.join(", "));
            }
        }
    }
}
