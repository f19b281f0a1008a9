//! What goes in comes out, prefixes are smaller images, and damaged codestreams are refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use mingying_openjph::{Error, Image, decode, decode_reduced, encode, inspect};
use proptest::prelude::*;

/// Smooth with some noise, as pictures are; `noise` of 16 bits is as bad as it gets.
fn samples(image: &Image, seed: u64, noise: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u32
    };
    let mask = (1u64 << image.depth) - 1;
    let mut out = Vec::new();
    for y in 0..image.height {
        for x in 0..image.width {
            for c in 0..u32::from(image.components) {
                let smooth = (x * 3 + y * 5 + c * 40) << (u32::from(image.depth).saturating_sub(9));
                let value = (u64::from(smooth) + u64::from(random() & ((1u32 << noise) - 1))) & mask;
                let value = if image.signed && value >> (image.depth - 1) == 1 {
                    value as i64 - (1i64 << image.depth)
                } else {
                    value as i64
                };
                out.extend_from_slice(&value.to_le_bytes()[..usize::from(image.word)]);
            }
        }
    }
    out
}

fn ct() -> (Image, Vec<u8>) {
    let image = Image { width: 300, height: 200, components: 1, word: 2, depth: 12, signed: false };
    let samples = samples(&image, 7, 4);
    (image, samples)
}

#[test]
fn a_codestream_has_the_form_of_its_transfer_syntax() {
    let (image, pixels) = ct();
    let coded = encode(&image, false, &pixels).unwrap();
    let found = inspect(&coded).unwrap();
    assert!(found.lossless && !found.color_transform && !found.signed);
    assert_eq!((found.width, found.height, found.components, found.depth, found.levels), (300, 200, 1, 12, 5));
    let sizes: Vec<(u32, u32)> = found.resolutions.iter().map(|r| (r.width, r.height)).collect();
    assert_eq!(sizes, [(10, 7), (19, 13), (38, 25), (75, 50), (150, 100), (300, 200)]);
    assert_eq!(found.resolutions.last().unwrap().end + 2, coded.len(), "all but EOC");
    // TLM tells the same ends to who reads markers only (PS3.5 10.18).
    let tlm = coded.windows(4).position(|w| w == [0xff, 0x55, 0, 28]).unwrap();
    let mut at = coded.windows(2).position(|w| w == [0xff, 0x90]).unwrap();
    for (i, resolution) in found.resolutions.iter().enumerate() {
        let entry: [u8; 4] = coded[tlm + 6 + 4 * i..tlm + 10 + 4 * i].try_into().unwrap();
        at += u32::from_be_bytes(entry) as usize;
        assert_eq!(resolution.end, at);
    }
    assert_eq!(inspect(&[&coded[..], &[0]].concat()).unwrap(), found, "padding is no part of it");
}

#[test]
fn enough_levels_for_a_thumbnail_and_none_too_many() {
    use mingying_openjph::levels;
    for (width, height, expected) in
        [(512, 512, 5), (2048, 2048, 5), (4096, 4096, 6), (3000, 9000, 6), (1, 1, 0), (2, 1, 1), (3, 3, 2), (20, 9, 5)]
    {
        assert_eq!(levels(width, height), expected, "{width} x {height}");
    }
}

#[test]
fn a_prefix_is_a_smaller_image() {
    let (image, pixels) = ct();
    let coded = encode(&image, false, &pixels).unwrap();
    let resolutions = inspect(&coded).unwrap().resolutions;
    for (reduce, resolution) in (0u8..).zip(resolutions.iter().rev()) {
        let (whole, expected) = decode_reduced(&coded, reduce, 2, 1 << 20).unwrap();
        assert_eq!((whole.width, whole.height), (resolution.width, resolution.height));
        let (_, of_prefix) = decode_reduced(&coded[..resolution.end], reduce, 2, 1 << 20).unwrap();
        assert!(of_prefix == expected, "{reduce} halvings");
        assert_eq!(decode_reduced(&coded[..resolution.end - 1], reduce, 2, 1 << 20), Err(Error::Damaged("cut short")));
    }
    // The values stay those of the image, so the same window shows them.
    let (_, small) = decode_reduced(&coded, 3, 2, 1 << 20).unwrap();
    let mean = |bytes: &[u8]| {
        let words: Vec<f64> = bytes.chunks(2).map(|w| f64::from(u16::from_le_bytes([w[0], w[1]]))).collect();
        words.iter().sum::<f64>() / words.len() as f64
    };
    assert!((mean(&small) - mean(&pixels)).abs() < 150.0, "{} {}", mean(&small), mean(&pixels));
    assert_eq!(decode_reduced(&coded, 0, 2, 59_999), Err(Error::TooLarge));
}

#[test]
fn what_does_not_fit_is_refused() {
    let image = Image { width: 2, height: 1, components: 1, word: 2, depth: 12, signed: false };
    assert_eq!(encode(&image, false, &[0, 0x10, 0, 0]), Err(Error::Range));
    assert_eq!(encode(&Image { signed: true, ..image }, false, &[0, 0x08, 0, 0]), Err(Error::Range));
    assert!(encode(&Image { signed: true, ..image }, false, &[0, 0xf8, 0xff, 7]).is_ok());
    assert_eq!(encode(&image, false, &[0; 3]), Err(Error::Damaged("number of samples")));
    for wrong in [Image { depth: 0, ..image }, Image { components: 2, ..image }, Image { word: 4, ..image }] {
        assert!(encode(&wrong, false, &[0; 4]).is_err());
    }
    let (image, pixels) = ct();
    let coded = encode(&image, false, &pixels).unwrap();
    assert_eq!(decode(&coded, 301, 200, 1, 2), Err(Error::Damaged("dimensions")));
    assert_eq!(decode(&coded, 300, 200, 3, 2), Err(Error::Damaged("number of components")));
    assert_eq!(decode(&coded, 300, 200, 1, 1), Err(Error::Damaged("bit depth")));
    assert_eq!(decode(&coded[..coded.len() / 2], 300, 200, 1, 2), Err(Error::Damaged("cut short")));
}

/// Version 0.9 of the library writes past its buffer here.
#[test]
fn a_code_block_longer_than_its_tile_part_never_reaches_the_library() {
    let (image, pixels) = ct();
    let mut coded = encode(&image, false, &pixels).unwrap();
    let last = coded.windows(4).rposition(|w| w == [0xff, 0x90, 0, 10]).unwrap();
    let length = u32::from_be_bytes(coded[last + 6..last + 10].try_into().unwrap());
    coded[last + 6..last + 10].copy_from_slice(&(length - 1).to_be_bytes());
    coded.remove(last + length as usize - 1);
    assert_eq!(decode(&coded, 300, 200, 1, 2), Err(Error::Damaged("packet")));
}

fn images() -> impl Strategy<Value = Image> {
    let side = || prop_oneof![1u32..300, 1u32..12];
    (side(), side(), prop_oneof![Just(1u8), Just(3)], 1u8..=16, any::<bool>(), any::<bool>()).prop_map(
        |(width, height, components, depth, signed, wide)| Image {
            width,
            height,
            components,
            word: if depth > 8 || wide { 2 } else { 1 },
            depth,
            signed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn every_image_comes_back(image in images(), rgb in any::<bool>(), seed in any::<u64>(), noise in 0u32..=16) {
        let pixels = samples(&image, seed, noise);
        let coded = encode(&image, rgb, &pixels).unwrap();
        let found = inspect(&coded).unwrap();
        prop_assert_eq!(found.color_transform, rgb && image.components == 3);
        let (back, decoded) = decode(&coded, image.width, image.height, image.components, image.word).unwrap();
        prop_assert_eq!(back, image);
        prop_assert!(decoded == pixels);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn damaged_codestreams_give_an_error_or_an_image(
        color in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        head in prop::collection::vec((0usize..140, any::<u8>()), 0..2),
        cut in any::<prop::sample::Index>(),
        truncated in any::<bool>(),
    ) {
        let image = Image { width: 45, height: 40, components: if color { 3 } else { 1 }, word: 2, depth: 12, signed: false };
        let mut coded = encode(&image, color, &samples(&image, 3, 6)).unwrap();
        for (at, value) in changes {
            *at.get_mut(&mut coded) = value;
        }
        for (at, value) in head {
            coded[at] = value;
        }
        if truncated {
            coded.truncate(cut.index(coded.len()));
        }
        if let Ok((_, pixels)) = decode(&coded, 45, 40, image.components, 2) {
            prop_assert_eq!(pixels.len(), 45 * 40 * 2 * usize::from(image.components));
        }
        for reduce in 0..6 {
            let _ = decode_reduced(&coded, reduce, 2, 1 << 16);
        }
    }
}

#[test]
fn a_size_that_no_image_has_is_refused_before_anything_is_made_for_it() {
    let (image, pixels) = ct();
    let mut coded = encode(&image, false, &pixels).unwrap();
    for at in [8, 12, 24, 28] {
        coded[at..at + 4].copy_from_slice(&(1u32 << 24).to_be_bytes());
    }
    assert_eq!(inspect(&coded), Err(Error::TooLarge));
}
