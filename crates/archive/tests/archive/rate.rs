//! How many 512 × 512 images a second become durable and indexed on this machine's disk, beside the disk's own floor.
//! Not a test: `cargo test --release -p mingying-archive --test archive rate -- --ignored --nocapture`.

use crate::objects::*;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use mingying_archive::{Archive, Origin};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

fn ct(series: u32, number: u32, pixels: &[u8]) -> (Slice, Vec<u8>) {
    let mut one = slice(1, series, number);
    one.object.remove_element(tags::PIXEL_DATA);
    put(&mut one.object, tags::ROWS, VR::US, 512_u16);
    put(&mut one.object, tags::COLUMNS, VR::US, 512_u16);
    let mut bytes = one.bytes(EXPLICIT);
    bytes.extend([0xe0, 0x7f, 0x10, 0x00, b'O', b'W', 0, 0]);
    bytes.extend(u32::try_from(pixels.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(pixels);
    (one, bytes)
}

async fn send(archive: Archive, ctx: mingying_kernel::Ctx, series: u32, count: u32, pixels: std::sync::Arc<Vec<u8>>) {
    let permit = ctx.permit().unwrap();
    for number in 1..=count {
        let (one, bytes) = ct(series, number, &pixels);
        let mut receiving = archive.receive(Origin::aet("CT01"), one.meta(EXPLICIT));
        for piece in bytes.chunks(64 << 10) {
            receiving.write(piece).await.unwrap();
        }
        receiving.finish(&permit).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rate() {
    let pixels = std::sync::Arc::new(
        (0..512 * 512 * 2_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    );
    for test in [mingying_testkit::sqlite().await, mingying_testkit::postgres().await] {
        let engine = test.db.engine();
        let floor_file = std::fs::File::create(test.dir.path().join("floor")).unwrap();
        let begun = Instant::now();
        for i in 0..200 {
            floor_file.write_all_at(&pixels, i * pixels.len() as u64).unwrap();
            floor_file.sync_data().unwrap();
        }
        let floor = 200.0 / begun.elapsed().as_secs_f64();
        let bench = open(test.db.clone(), &test.dir.path().join("blobs")).await;
        for (senders, count) in [(1, 500), (4, 500)] {
            let begun = Instant::now();
            let tasks: Vec<_> = (0..senders)
                .map(|n| {
                    let series = 10 * senders + n;
                    tokio::spawn(send(bench.archive.clone(), bench.ctx.clone(), series, count, pixels.clone()))
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let rate = f64::from(senders * count) / begun.elapsed().as_secs_f64();
            let cpu = std::fs::read_to_string("/proc/self/stat").unwrap();
            let ticks: Vec<&str> = cpu.split(' ').collect();
            let mut out = std::io::stderr();
            writeln!(out, "{engine:?} {senders} sender(s): {rate:.0} images/s; write+fdatasync floor {floor:.0}/s; cpu ticks so far {} user {} system", ticks[13], ticks[14]).unwrap();
        }
        bench.archive.flush().await.unwrap();
        assert_eq!(bench.archive.stats().await.unwrap().instances, 2500);
    }
}
