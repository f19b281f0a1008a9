//! Character sets as devices send them, and frames against what other implementations encoded (DCMTK's JPEG, JPEG-LS
//! and RLE encoders, OpenJPEG).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "codec/mod.rs"]
mod codecs;

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use encoding_rs::GB18030;
use mingying_dicom::codec::{self, CodecError, PixelDescription};
use mingying_dicom::render::{self, Format, ImageAttributes, RenderError, View, Window, WindowFunction};
use mingying_dicom::{Charset, PersonName, decode_text, encode_text};
use proptest::prelude::*;

const LE: &str = "1.2.840.10008.1.2.1";

fn gb(text: &str) -> Vec<u8> {
    GB18030.encode(text).0.into_owned()
}

fn name(charset: &str, bytes: &[u8]) -> String {
    decode_text(charset, bytes, VR::PN)
}

#[test]
fn examples_of_the_standard() {
    // PS3.5 H.3.1: Japanese, kanji by escape sequences.
    let h31 = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
    assert_eq!(name("\\ISO 2022 IR 87", h31), "Yamada^Tarou=山田^太郎=やまだ^たろう");
    // H.3.2: katakana in G1, romaji in G0.
    let h32 = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J";
    assert_eq!(name("ISO 2022 IR 13\\ISO 2022 IR 87", h32), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう");
    // I.2: Korean.
    let i2 = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
    assert_eq!(name("\\ISO 2022 IR 149", i2), "Hong^Gildong=洪^吉洞=홍^길동");
    // J.3: UTF-8 and GB18030.
    assert_eq!(name("ISO_IR 192", "Wang^XiaoDong=王^小東=".as_bytes()), "Wang^XiaoDong=王^小東=");
    assert_eq!(name("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="), "Wang^XiaoDong=王^小东=");
    // K.2: GB 2312 by escape sequences.
    let k2 = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=";
    assert_eq!(name("\\ISO 2022 IR 58", k2), "Zhang^XiaoDong=张^小东=");
    let text = b"1) \x1b$)A\xb5\xda\xd2\xbb\xd0\xd0\r\n2) \x1b$)A\xb5\xda\xb6\xfe\xd0\xd0";
    assert_eq!(decode_text("\\ISO 2022 IR 58", text, VR::LT), "1) 第一行\r\n2) 第二行");
}

#[test]
fn single_byte_sets() {
    for (charset, bytes, text) in [
        ("ISO_IR 100", b"Buc^J\xe9r\xf4me".as_slice(), "Buc^Jérôme"),
        ("ISO_IR 101", b"Wa\xb3\xeasa", "Wałęsa"),
        ("ISO_IR 109", b"\xa6a\xb6", "Ĥaĥ"),
        ("ISO_IR 110", b"J\xe0nis", "Jānis"),
        ("ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
        ("ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
        ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
        ("ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
        ("ISO_IR 148", b"\xdeahin", "Şahin"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        ("GBK", b"\xd5\xc5\xc8\xfd", "张三"),
        ("iso-ir 192", "é".as_bytes(), "é"),
        ("ISO_IR 6", b"plain", "plain"),
    ] {
        assert_eq!(name(charset, bytes), text, "{charset}");
        assert_eq!(encode_text(charset, text, VR::PN).as_deref(), Ok(bytes), "{charset}");
    }
}

#[test]
fn mislabelled_chinese_is_found() {
    let texts = [
        "张三",
        "王^芳",
        "Zhang^San=张^三",
        "欧阳娜娜",
        "闫婧",
        "翟天临",
        "李",
        "龚",
        "胸部CT平扫",
        "头颅MRI平扫+增强",
        "左膝关节正侧位",
        "张\\李",
        "许昌市中心医院",
        "腹部（上）",
        "谭咏麟",
        "许",
        "第1次复查",
    ];
    for text in texts {
        for label in ["ISO_IR 100", "", "ISO_IR 6", "ISO 2022 IR 6\\ISO 2022 IR 100", "ISO_IR 192", "NONSENSE"] {
            assert_eq!(decode_text(label, &gb(text), VR::LO), text, "GB18030 as {label:?}");
        }
        for label in ["ISO_IR 100", "", "GB18030", "GBK"] {
            assert_eq!(decode_text(label, text.as_bytes(), VR::LO), text, "UTF-8 as {label:?}");
        }
    }
    // Raw GB 2312 where escape sequences were promised, and a sequence not repeated after a delimiter.
    assert_eq!(name("\\ISO 2022 IR 58", &gb("张^小东")), "张^小东");
    assert_eq!(name("\\ISO 2022 IR 58", b"=\x1b$)A\xd5\xc5^\xd0\xa1\xb6\xab"), "=张^小东");
    // Cut at the maximum length, in the middle of a character.
    let cut = gb("中华人民共和国");
    assert_eq!(decode_text("ISO_IR 100", &cut[..cut.len() - 1], VR::SH), "中华人民共和");
}

#[test]
fn latin_text_stays_latin() {
    for text in [
        "Jérôme",
        "Müller",
        "Äneas^Rüdiger",
        "João",
        "Conceição",
        "Größe",
        "BJÖRK",
        "Ångström",
        "Ñandú",
        "Çelik",
        "Søren",
        "50 µg",
        "±5°",
        "Élodie",
        "naïve",
        "GARÇÃO",
        "Ä",
        "José María",
        "Übermäßig",
        "Ærø",
    ] {
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert_eq!(decode_text("ISO_IR 100", &bytes, VR::LO), text);
        assert_eq!(decode_text("", &bytes, VR::LO), text);
    }
    assert_eq!(decode_text("ISO_IR 100", "Müller".as_bytes(), VR::PN), "Müller", "UTF-8 under Latin-1");
}

#[test]
fn escapes_are_written_where_they_are_needed() {
    let written = encode_text("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东=", VR::PN).unwrap();
    assert_eq!(written, b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=");
    let written = encode_text("\\ISO 2022 IR 87", "=山田^太郎", VR::PN).unwrap();
    assert_eq!(written, b"=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B");
    assert!(encode_text("\\ISO 2022 IR 58", "淼喆", VR::PN).is_err(), "喆 is not in GB 2312");
    assert!(encode_text("ISO_IR 100", "张", VR::PN).is_err());
    assert!(encode_text("", "é", VR::PN).is_err());
    assert_eq!(Charset::parse("\\ISO 2022 IR 58").value(), "\\ISO 2022 IR 58");
    assert_eq!(Charset::parse("ISO_IR 100").value(), "ISO_IR 100");
    assert_eq!(Charset::parse("ISO 2022 IR 58").value(), "ISO 2022 IR 58");
    assert_eq!(Charset::parse("").value(), "");
}

/// Characters that each set holds.
fn repertoire() -> impl Strategy<Value = (&'static str, String)> {
    let of = |charset: &'static str, chars: &'static str| {
        let all: Vec<char> = chars.chars().chain("Ab1 ^=".chars()).collect();
        prop::collection::vec(prop::sample::select(all), 0..30).prop_map(move |c| (charset, c.into_iter().collect()))
    };
    prop_oneof![
        of("ISO_IR 192", "张三é山홍ŝ𠮷"),
        of("GB18030", "张三喆é山홍𠮷龍"),
        of("\\ISO 2022 IR 58", "张三丰小东中华人民，（）"),
        of("\\ISO 2022 IR 87", "山田太郎やまだたろうア"),
        of("\\ISO 2022 IR 149", "洪吉洞홍길동김"),
        of("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ山田"),
        of("ISO_IR 101", "łęčžőű"),
        of("ISO_IR 144", "Люксембург"),
        of("ISO 2022 IR 6\\ISO 2022 IR 144\\ISO 2022 IR 126", "ЛюДи"),
    ]
}

proptest! {
    #[test]
    fn any_bytes_under_any_label(
        label in "[A-Z0-9_\\\\ ]{0,40}",
        known in prop::sample::select(vec!["", "ISO_IR 100", "\\ISO 2022 IR 58\\ISO 2022 IR 87", "ISO_IR 13", "GB18030",
            "ISO_IR 192", "\\ISO 2022 IR 149\\ISO 2022 IR 159", "ISO 2022 IR 87"]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'$'), Just(b')'), Just(b'A')], 0..60),
    ) {
        for vr in [VR::PN, VR::LT, VR::CS] {
            decode_text(&label, &bytes, vr);
            decode_text(known, &bytes, vr);
        }
    }

    #[test]
    fn text_survives_its_set((charset, text) in repertoire()) {
        for vr in [VR::PN, VR::LO, VR::LT] {
            let bytes = encode_text(charset, &text, vr).unwrap();
            prop_assert_eq!(decode_text(charset, &bytes, vr), text.clone());
        }
    }

    #[test]
    fn any_text_can_be_encoded_or_is_refused(text in ".{0,30}", charset in "(\\\\?ISO 2022 IR (58|87|149|13|100)|GB18030|ISO_IR 192)") {
        if let Ok(bytes) = encode_text(&charset, &text, VR::LT) {
            decode_text(&charset, &bytes, VR::LT);
        }
        PersonName::parse(&text);
        PersonName::of_person(&text, None);
    }
}

fn image(rows: u16, columns: u16, samples: u16, bits: u16, signed: bool, photometric: &str) -> InMemDicomObject {
    let us = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    InMemDicomObject::from_element_iter([
        us(tags::ROWS, rows),
        us(tags::COLUMNS, columns),
        us(tags::SAMPLES_PER_PIXEL, samples),
        us(tags::BITS_ALLOCATED, if bits > 8 { 16 } else { 8 }),
        us(tags::BITS_STORED, bits),
        us(tags::HIGH_BIT, bits - 1),
        us(tags::PIXEL_REPRESENTATION, u16::from(signed)),
        us(tags::PLANAR_CONFIGURATION, 0),
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric),
    ])
}

fn decode(object: &InMemDicomObject, syntax: &str, frame: &[u8]) -> Result<Vec<u8>, CodecError> {
    let image = PixelDescription::read(object).unwrap().unwrap();
    codec::decode(syntax, frame, &image).map(|decoded| decoded.bytes)
}

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("data/", $name)).as_slice()
    };
}

#[test]
fn lossless_codecs_give_the_same_samples() {
    let gray12 = image(40, 45, 1, 12, false, "MONOCHROME2");
    for (syntax, frame) in [
        ("1.2.840.10008.1.2.4.80", data!("gray12.jls")),
        ("1.2.840.10008.1.2.4.70", data!("gray12.ljpg")),
        ("1.2.840.10008.1.2.5", data!("gray12.rle")),
        ("1.2.840.10008.1.2.4.90", data!("gray12.j2k")),
        (LE, data!("gray12.raw")),
    ] {
        assert!(decode(&gray12, syntax, frame).unwrap() == data!("gray12.raw"), "{syntax}");
    }
    let gray16 = image(40, 45, 1, 16, false, "MONOCHROME2");
    assert!(decode(&gray16, "1.2.840.10008.1.2.4.80", data!("gray16.jls")).unwrap() == data!("gray16.raw"));
    let signed = image(40, 45, 1, 16, true, "MONOCHROME2");
    assert!(decode(&signed, "1.2.840.10008.1.2.4.90", data!("signed16.j2k")).unwrap() == data!("signed16.raw"));
    let rgb = image(40, 45, 3, 8, false, "RGB");
    for (syntax, frame) in [
        ("1.2.840.10008.1.2.4.80", data!("rgb8.line.jls")),
        ("1.2.840.10008.1.2.4.80", data!("rgb8.sample.jls")),
        ("1.2.840.10008.1.2.4.80", data!("rgb8.plane.jls")),
        ("1.2.840.10008.1.2.5", data!("rgb8.rle")),
        ("1.2.840.10008.1.2.4.70", data!("rgb8.ljpg")),
        ("1.2.840.10008.1.2.4.90", data!("rgb8.j2k")),
        (LE, data!("rgb8.raw")),
    ] {
        assert!(decode(&rgb, syntax, frame).unwrap() == data!("rgb8.raw"), "{syntax} {}", frame.len());
    }
}

#[test]
fn jpeg_2000_of_more_components_than_announced_is_refused_before_it_is_decoded() {
    let mut many = data!("gray12.j2k").to_vec();
    let component = many[42..45].to_vec();
    many.splice(45..45, component.repeat(199));
    many[4..6].copy_from_slice(&(38_u16 + 3 * 200).to_be_bytes());
    many[40..42].copy_from_slice(&200_u16.to_be_bytes());
    let gray12 = image(40, 45, 1, 12, false, "MONOCHROME2");
    let refused = decode(&gray12, "1.2.840.10008.1.2.4.90", &many);
    assert_eq!(refused, Err(CodecError::Damaged("number of components")));
}

#[test]
fn near_lossless_stays_within_its_bound() {
    let object = image(40, 45, 1, 12, false, "MONOCHROME2");
    let near = decode(&object, "1.2.840.10008.1.2.4.81", data!("gray12.near.jls")).unwrap();
    let word = |bytes: &[u8], i: usize| i32::from(u16::from_le_bytes([bytes[i * 2], bytes[i * 2 + 1]]));
    let worst = (0..40 * 45).map(|i| (word(&near, i) - word(data!("gray12.raw"), i)).abs()).max().unwrap();
    assert!((1..=3).contains(&worst), "{worst}");
}

#[test]
fn twelve_bits_of_lossy_jpeg() {
    let object = image(40, 45, 1, 12, false, "MONOCHROME2");
    let decoded = decode(&object, "1.2.840.10008.1.2.4.51", data!("gray12.jpg")).unwrap();
    let word = |bytes: &[u8], i: usize| i32::from(u16::from_le_bytes([bytes[i * 2], bytes[i * 2 + 1]]));
    let worst = (0..40 * 45).map(|i| (word(&decoded, i) - word(data!("gray12.raw"), i)).abs()).max().unwrap();
    assert!((1..=12).contains(&worst), "{worst}");
}

fn picture(object: &InMemDicomObject, frame: &[u8], view: &View) -> render::Picture {
    render::picture(object, LE, frame, 0, view).unwrap()
}

#[test]
fn ct_values_go_through_rescale_and_window() {
    let mut ct = image(1, 5, 1, 12, false, "MONOCHROME2");
    ct.put(DataElement::new(tags::RESCALE_INTERCEPT, VR::DS, "-1024"));
    ct.put(DataElement::new(tags::RESCALE_SLOPE, VR::DS, "1"));
    ct.put(DataElement::new(tags::WINDOW_CENTER, VR::DS, PrimitiveValue::Strs(["40".into(), "500".into()][..].into())));
    ct.put(DataElement::new(
        tags::WINDOW_WIDTH,
        VR::DS,
        PrimitiveValue::Strs(["400".into(), "2000".into()][..].into()),
    ));
    // -160, 40, 239 HU, air; high bits are not part of the value.
    let frame: Vec<u8> = [864u16, 1064, 1263, 24, 0xf018].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(picture(&ct, &frame, &View::default()).pixels, [0, 128, 255, 0, 0]);
    let bone = View {
        window: Some(Window { center: 40.0, width: 2.0, function: WindowFunction::LinearExact }),
        ..View::default()
    };
    assert_eq!(picture(&ct, &frame, &bone).pixels, [0, 128, 255, 0, 0]);
    ct.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"));
    ct.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::US, PrimitiveValue::from(24u16)));
    assert_eq!(picture(&ct, &frame, &View::default()).pixels, [255, 127, 0, 0, 0], "padding is background");
}

#[test]
fn luts_palettes_and_colors() {
    let us = |values: Vec<u16>| PrimitiveValue::U16(values.into());
    let mut object = image(1, 3, 1, 8, false, "MONOCHROME2");
    let lut = InMemDicomObject::from_element_iter([
        DataElement::new(tags::LUT_DESCRIPTOR, VR::US, us(vec![3, 0, 8])),
        DataElement::new(tags::LUT_DATA, VR::OW, us(vec![10, 200, 255])),
    ]);
    object.put(DataElement::new(tags::VOILUT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![lut])));
    assert_eq!(picture(&object, &[0, 1, 9], &View::default()).pixels, [10, 200, 255]);

    let mut palette = image(1, 2, 1, 8, false, "PALETTE COLOR");
    for (descriptor, data, entry) in [
        (tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA, 0xff00u16),
        (tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA, 0x8000),
        (tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA, 0),
    ] {
        palette.put(DataElement::new(descriptor, VR::US, us(vec![2, 0, 16])));
        palette.put(DataElement::new(data, VR::OW, us(vec![0, entry])));
    }
    let shown = picture(&palette, &[0, 1], &View::default());
    assert_eq!((shown.color, shown.pixels), (true, vec![0, 0, 0, 255, 128, 0]));

    let mut planar = image(1, 2, 3, 8, false, "RGB");
    planar.put(DataElement::new(tags::PLANAR_CONFIGURATION, VR::US, PrimitiveValue::from(1u16)));
    assert_eq!(picture(&planar, &[1, 2, 3, 4, 5, 6], &View::default()).pixels, [1, 3, 5, 2, 4, 6]);
    let ybr = image(1, 2, 3, 8, false, "YBR_FULL");
    assert_eq!(picture(&ybr, &[255, 128, 128, 0, 128, 128], &View::default()).pixels, [255, 255, 255, 0, 0, 0]);
    let subsampled = image(1, 2, 3, 8, false, "YBR_FULL_422");
    assert_eq!(picture(&subsampled, &[255, 0, 128, 128], &View::default()).pixels, [255, 255, 255, 0, 0, 0]);
}

#[test]
fn per_frame_windows_of_enhanced_objects() {
    let ds = |tag, value: &str| DataElement::new(tag, VR::DS, value);
    let group = |center: &str| {
        let voi = InMemDicomObject::from_element_iter([ds(tags::WINDOW_CENTER, center), ds(tags::WINDOW_WIDTH, "10")]);
        InMemDicomObject::from_element_iter([DataElement::new(
            tags::FRAME_VOILUT_SEQUENCE,
            VR::SQ,
            DataSetSequence::from(vec![voi]),
        )])
    };
    let mut object = image(1, 1, 1, 16, false, "MONOCHROME2");
    object.put(DataElement::new(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        VR::SQ,
        DataSetSequence::from(vec![group("5"), group("500")]),
    ));
    let shown = |index| render::picture(&object, LE, &[100, 0], index, &View::default()).unwrap().pixels;
    assert_eq!((shown(0), shown(1)), (vec![255], vec![0]));
}

#[test]
fn pictures_are_cut_scaled_and_encoded() {
    let object = image(40, 45, 1, 12, false, "MONOCHROME2");
    let view = View { size: Some((90, 90)), region: Some((5, 5, 20, 10)), window: None };
    let shown = picture(&object, data!("gray12.raw"), &view);
    assert_eq!((shown.width, shown.height), (90, 45));
    for (format, magic) in [(Format::Jpeg(80), b"\xff\xd8\xff".as_slice()), (Format::Png, b"\x89PNG")] {
        let bytes = render::render(&object, LE, data!("gray12.raw"), 0, &view, format).unwrap();
        assert!(bytes.starts_with(magic));
    }
    let outside = View { region: Some((45, 0, 5, 5)), ..View::default() };
    assert!(render::picture(&object, LE, data!("gray12.raw"), 0, &outside).is_err());
}

#[test]
fn what_cannot_be_shown_says_so() {
    let object = image(40, 45, 1, 12, false, "MONOCHROME2");
    let jpeg_xl = "1.2.840.10008.1.2.4.110";
    assert_eq!(decode(&object, jpeg_xl, &[0; 9]), Err(CodecError::UnsupportedSyntax(jpeg_xl.to_owned())));
    assert_eq!(decode(&object, LE, &[0; 9]), Err(CodecError::Damaged("too few pixels")));
    let huge = image(65535, 65535, 3, 8, false, "RGB");
    assert_eq!(ImageAttributes::read(&huge, 0), Err(RenderError::TooLarge));
    assert_eq!(ImageAttributes::read(&InMemDicomObject::new_empty(), 0), Err(RenderError::NoPixels));
    let wrong = image(20, 45, 1, 12, false, "MONOCHROME2");
    assert!(matches!(decode(&wrong, "1.2.840.10008.1.2.4.80", data!("gray12.jls")), Err(CodecError::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damaged_frames_never_panic_in_our_decoders(
        which in 0usize..7,
        changes in prop::collection::vec((0usize..2400, any::<u8>()), 0..6),
        cut in 0usize..2400,
    ) {
        let (syntax, frame, samples) = [
            ("1.2.840.10008.1.2.4.80", data!("gray12.jls"), 1),
            ("1.2.840.10008.1.2.4.81", data!("gray12.near.jls"), 1),
            ("1.2.840.10008.1.2.4.80", data!("rgb8.sample.jls"), 3),
            ("1.2.840.10008.1.2.4.80", data!("rgb8.line.jls"), 3),
            ("1.2.840.10008.1.2.5", data!("gray12.rle"), 1),
            ("1.2.840.10008.1.2.5", data!("rgb8.rle"), 3),
            ("1.2.840.10008.1.2.4.51", data!("gray12.jpg"), 1),
        ][which];
        let mut frame = frame.to_vec();
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(cut.max(1));
        let object = if samples == 1 {
            image(40, 45, 1, 12, false, "MONOCHROME2")
        } else {
            image(40, 45, 3, 8, false, "RGB")
        };
        let _ = decode(&object, syntax, &frame);
    }
}
