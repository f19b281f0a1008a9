//! Specific Character Set (0008,0005): text values between bytes and Unicode (PS3.5 6.1, PS3.3 C.12.1.1.2).
//!
//! Devices mislabel. GB18030 or UTF-8 bytes under `ISO_IR 100`, or under no label at all, are what Chinese hospitals
//! see most, so a value whose declared reading is implausible is read the way it was meant (`detect`).

use crate::iso2022;
use dicom_core::VR;
use encoding_rs::{Encoding, GB18030, UTF_8};

/// One defined term of Specific Character Set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Term {
    /// The default repertoire, ISO-IR 6 (ASCII).
    Ascii,
    /// Latin-1, ISO-IR 100.
    Latin1,
    /// Latin-2, ISO-IR 101.
    Latin2,
    /// Latin-3, ISO-IR 109.
    Latin3,
    /// Latin-4, ISO-IR 110.
    Latin4,
    /// Cyrillic, ISO-IR 144.
    Cyrillic,
    /// Arabic, ISO-IR 127.
    Arabic,
    /// Greek, ISO-IR 126.
    Greek,
    /// Hebrew, ISO-IR 138.
    Hebrew,
    /// Latin-5 (Turkish), ISO-IR 148.
    Latin5,
    /// Latin-9, ISO-IR 203.
    Latin9,
    /// Thai, ISO-IR 166.
    Thai,
    /// Japanese, JIS X 0201: ISO-IR 13 (katakana, G1) with ISO-IR 14 (romaji, G0).
    Katakana,
    /// Japanese, JIS X 0208, ISO-IR 87, two bytes in G0.
    Kanji,
    /// Japanese, JIS X 0212, ISO-IR 159, two bytes in G0.
    KanjiSupplement,
    /// Korean, KS X 1001, ISO-IR 149, two bytes in G1.
    Korean,
    /// Simplified Chinese, GB 2312, ISO-IR 58, two bytes in G1.
    Gb2312,
    /// UTF-8, ISO-IR 192.
    Utf8,
    /// GB 18030; covers GBK, whose bytes it reads alike.
    Gb18030,
}

impl Term {
    /// A term as devices write it, in either form, single-byte (`ISO_IR 100`) or with code extensions
    /// (`ISO 2022 IR 100`); blanks, underscores and hyphens are taken alike.
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String =
            text.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '\0')).map(|c| c.to_ascii_uppercase()).collect();
        Some(match plain.strip_prefix("ISO2022").or_else(|| plain.strip_prefix("ISO")).unwrap_or(&plain) {
            "" | "IR6" => Self::Ascii,
            "IR100" | "88591" => Self::Latin1,
            "IR101" | "88592" => Self::Latin2,
            "IR109" | "88593" => Self::Latin3,
            "IR110" | "88594" => Self::Latin4,
            "IR144" | "88595" => Self::Cyrillic,
            "IR127" | "88596" => Self::Arabic,
            "IR126" | "88597" => Self::Greek,
            "IR138" | "88598" => Self::Hebrew,
            "IR148" | "88599" => Self::Latin5,
            "IR203" | "885915" => Self::Latin9,
            "IR166" => Self::Thai,
            "IR13" | "IR14" => Self::Katakana,
            "IR87" => Self::Kanji,
            "IR159" => Self::KanjiSupplement,
            "IR149" => Self::Korean,
            "IR58" => Self::Gb2312,
            "IR192" | "10646" | "UTF8" => Self::Utf8,
            "GB18030" | "GBK" | "GB2312" => Self::Gb18030,
            _ => return None,
        })
    }

    /// The right-hand table of a single-byte set; `None` where there is none, or where it needs more than a table.
    pub(crate) fn single_byte(self) -> Option<&'static Encoding> {
        Some(match self {
            Self::Latin2 => encoding_rs::ISO_8859_2,
            Self::Latin3 => encoding_rs::ISO_8859_3,
            Self::Latin4 => encoding_rs::ISO_8859_4,
            Self::Cyrillic => encoding_rs::ISO_8859_5,
            Self::Arabic => encoding_rs::ISO_8859_6,
            Self::Greek => encoding_rs::ISO_8859_7,
            Self::Hebrew => encoding_rs::ISO_8859_8,
            Self::Latin5 => encoding_rs::WINDOWS_1254,
            Self::Latin9 => encoding_rs::ISO_8859_15,
            Self::Thai => encoding_rs::WINDOWS_874,
            _ => return None,
        })
    }

    /// Whether the term stands for a coding of its own, which allows no code extensions (PS3.3 C.12.1.1.2).
    fn is_whole(self) -> bool {
        matches!(self, Self::Utf8 | Self::Gb18030)
    }
}

/// The value of Specific Character Set, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charset {
    /// Never empty. The first is in force at the start of every value.
    pub(crate) terms: Vec<Term>,
    /// Whether the object named a character set at all.
    declared: bool,
}

impl Default for Charset {
    fn default() -> Self {
        Self { terms: vec![Term::Ascii], declared: false }
    }
}

/// The character set cannot express the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text cannot be expressed in the character set")]
pub struct Unencodable;

impl Charset {
    /// UTF-8, which Mingying itself writes.
    pub fn utf8() -> Self {
        Self { terms: vec![Term::Utf8], declared: true }
    }

    /// Parses the value, terms separated by backslashes. Unknown terms are passed over: text is then read by detection.
    pub fn parse(value: &str) -> Self {
        let value = value.trim_matches(['\0', ' ']);
        if value.is_empty() {
            return Self::default();
        }
        let mut terms: Vec<Term> = value.split('\\').take(16).filter_map(Term::parse).collect();
        let declared = !terms.is_empty();
        if terms.first().is_none_or(|first| matches!(first, Term::Kanji | Term::KanjiSupplement)) {
            // Multi-byte sets in G0 cannot be the initial state; devices that name one alone mean ASCII before it.
            terms.insert(0, Term::Ascii);
        }
        Self { terms, declared }
    }

    /// The bytes of one element's value as Unicode. Values keep their backslashes where the VR allows several.
    pub fn decode(&self, bytes: &[u8], vr: VR) -> String {
        if !honours_charset(vr) {
            return latin1(bytes);
        }
        let escaped = bytes.contains(&0x1b);
        if bytes.is_ascii() && !escaped {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        let first = self.terms.first().copied().unwrap_or(Term::Ascii);
        if escaped && !first.is_whole() {
            return iso2022::decode(self, bytes, vr);
        }
        match first {
            Term::Utf8 => decode_utf8(bytes),
            Term::Gb18030 => decode_gb(bytes),
            Term::Ascii | Term::Latin1 => match crate::detect::guess(bytes) {
                Some(text) => text,
                None if self.terms.len() > 1 => iso2022::decode(self, bytes, vr),
                None => latin1(bytes),
            },
            _ => iso2022::decode(self, bytes, vr),
        }
    }

    /// The text in this character set, with the escape sequences it needs.
    pub fn encode(&self, text: &str, vr: VR) -> Result<Vec<u8>, Unencodable> {
        if text.is_ascii() {
            return Ok(text.as_bytes().to_vec());
        }
        if !honours_charset(vr) {
            return text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| Unencodable)).collect();
        }
        match self.terms.first().copied().unwrap_or(Term::Ascii) {
            Term::Utf8 => Ok(text.as_bytes().to_vec()),
            Term::Gb18030 => {
                let (bytes, _, unmappable) = GB18030.encode(text);
                if unmappable { Err(Unencodable) } else { Ok(bytes.into_owned()) }
            }
            _ => iso2022::encode(self, text, vr),
        }
    }

    /// The value of Specific Character Set that names this set; empty for ASCII.
    pub fn value(&self) -> String {
        let extended = self.terms.len() > 1;
        let name = |(i, term): (usize, &Term)| {
            let number = match term {
                Term::Ascii => return if i == 0 { String::new() } else { "ISO 2022 IR 6".to_owned() },
                Term::Utf8 => return "ISO_IR 192".to_owned(),
                Term::Gb18030 => return "GB18030".to_owned(),
                Term::Latin1 => 100,
                Term::Latin2 => 101,
                Term::Latin3 => 109,
                Term::Latin4 => 110,
                Term::Cyrillic => 144,
                Term::Arabic => 127,
                Term::Greek => 126,
                Term::Hebrew => 138,
                Term::Latin5 => 148,
                Term::Latin9 => 203,
                Term::Thai => 166,
                Term::Katakana => 13,
                Term::Kanji => 87,
                Term::KanjiSupplement => 159,
                Term::Korean => 149,
                Term::Gb2312 => 58,
            };
            if extended || number == 58 || number == 149 {
                format!("ISO 2022 IR {number}")
            } else {
                format!("ISO_IR {number}")
            }
        };
        self.terms.iter().enumerate().map(name).collect::<Vec<_>>().join("\\")
    }

    /// Whether the object named a character set that this crate knows.
    pub fn is_declared(&self) -> bool {
        self.declared
    }
}

/// Reads `bytes` under the value of Specific Character Set.
pub fn decode_text(specific_charset: &str, bytes: &[u8], vr: VR) -> String {
    Charset::parse(specific_charset).decode(bytes, vr)
}

/// Writes `text` under the value of Specific Character Set.
pub fn encode_text(specific_charset: &str, text: &str, vr: VR) -> Result<Vec<u8>, Unencodable> {
    Charset::parse(specific_charset).encode(text, vr)
}

/// The value representations whose text depends on Specific Character Set (PS3.5 6.1.2.2).
pub fn honours_charset(vr: VR) -> bool {
    matches!(vr, VR::SH | VR::LO | VR::UC | VR::ST | VR::LT | VR::UT | VR::PN)
}

/// Bytes as ISO 8859-1, control characters included: never fails and keeps every byte apart.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

fn decode_utf8(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => match crate::detect::guess(bytes) {
            Some(text) => text,
            None => UTF_8.decode_without_bom_handling(bytes).0.into_owned(),
        },
    }
}

fn decode_gb(bytes: &[u8]) -> String {
    if let Some(text) = crate::detect::utf8_under_gb(bytes) {
        return text;
    }
    GB18030.decode_without_bom_handling(bytes).0.into_owned()
}
