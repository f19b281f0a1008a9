use crate::objects::*;
use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;
use mingying_archive::{ArchiveError, InstanceRef};
use mingying_testkit::on_both;

async fn only(bench: &Bench, slice: &Slice) -> InstanceRef {
    let refs = bench.archive.instances_of(&bench.read(), &slice.study, Some(&slice.series), Some(&slice.sop)).await;
    refs.unwrap().pop().unwrap()
}

on_both! {
    async fn native_frames(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let mut multi = slice(1, 1, 1);
        put(&mut multi.object, tags::NUMBER_OF_FRAMES, VR::IS, "3");
        put(&mut multi.object, tags::PIXEL_DATA, VR::OW, pixels(5, 64 * 3));
        bench.send(&multi).await.unwrap();
        let found = only(&bench, &multi).await;
        assert_eq!(found.frames, 3);
        let PrimitiveValue::U16(values) = pixels(5, 64 * 3) else { panic!() };
        for frame in 0..3_u32 {
            let expected: Vec<u8> =
                values[frame as usize * 64..][..64].iter().flat_map(|v| v.to_le_bytes()).collect();
            assert_eq!(bench.archive.frame_bytes(&found, frame).await.unwrap(), expected);
        }
        assert!(matches!(bench.archive.frame_bytes(&found, 3).await, Err(ArchiveError::NoSuchFrame)));
    }

    async fn encapsulated_frames(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let fragment = |n: u8, len: usize| { let mut f = vec![n; len]; f[0] = 0xff; f[1] = 0xd8; f };
        let rest = |n: u8, len: usize| vec![n; len];

        // One frame in two fragments.
        let one = slice(1, 1, 1).encapsulate(vec![], vec![fragment(1, 10), rest(2, 20)], 1);
        bench.send_as(&one, JPEG_LS).await.unwrap();
        let found = only(&bench, &one).await;
        let bytes = bench.archive.frame_bytes(&found, 0).await.unwrap();
        assert_eq!(bytes, [fragment(1, 10), rest(2, 20)].concat());

        // A fragment for each frame, an offset table that is used, and none where codestreams tell.
        let parts = vec![fragment(1, 10), rest(2, 20), fragment(3, 30)];
        let cases = [
            (vec![], vec![fragment(1, 10), fragment(2, 20), fragment(3, 30)], 3, vec![0..1, 1..2, 2..3]),
            (vec![0, 46], parts.clone(), 2, vec![0..2, 2..3]),
            (vec![], parts, 2, vec![0..2, 2..3]),
        ];
        for (n, (offsets, fragments, frames, expected)) in cases.into_iter().enumerate() {
            let many = slice(2, 1, n as u32 + 1).encapsulate(offsets, fragments.clone(), frames);
            bench.send_as(&many, JPEG_LS).await.unwrap();
            let found = only(&bench, &many).await;
            assert_eq!((found.frames, found.pixel_len), (i64::from(frames), -1));
            for (frame, range) in expected.into_iter().enumerate() {
                let bytes = bench.archive.frame_bytes(&found, frame as u32).await.unwrap();
                assert_eq!(bytes, fragments[range].concat(), "case {n} frame {frame}");
            }
        }
    }

    async fn objects_without_pixels_and_large_ones(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let mut report = slice(1, 2, 1);
        report.object.remove_element(tags::PIXEL_DATA);
        bench.send(&report).await.unwrap();
        let found = only(&bench, &report).await;
        assert_eq!((found.has_pixels, found.frames, found.header_end), (false, 0, found.size));
        assert!(matches!(bench.archive.frame_bytes(&found, 0).await, Err(ArchiveError::NoSuchFrame)));

        // Larger than what is staged in memory.
        let mut large = slice(1, 3, 1);
        put(&mut large.object, tags::ROWS, VR::US, 2048_u16);
        put(&mut large.object, tags::COLUMNS, VR::US, 2048_u16);
        put(&mut large.object, tags::PIXEL_DATA, VR::OW, pixels(3, 2048 * 2048));
        let bytes = large.bytes(EXPLICIT);
        let mut receiving = bench.archive.receive(mingying_archive::Origin::aet("DR01"), large.meta(EXPLICIT));
        for piece in bytes.chunks(100_000) {
            receiving.write(piece).await.unwrap();
        }
        receiving.finish(&bench.store()).await.unwrap();
        let found = only(&bench, &large).await;
        let got = bench.archive.read(&found, found.head_len as u64, u64::MAX).await.unwrap();
        assert!(got == bytes);
        let headers = bench.archive.headers(&[found.clone(), only(&bench, &report).await]).await.unwrap();
        assert_eq!(headers[1].element(tags::MODALITY).unwrap().to_str().unwrap(), "SR");
        assert!(bench.archive.verify().await.unwrap().intact());
    }
}
