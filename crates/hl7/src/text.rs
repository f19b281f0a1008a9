//! Bytes to text and back, by MSH-18 (HL7 table 0211).

use encoding_rs::{Encoding, GB18030, UTF_8};

/// Character sets the product speaks in HL7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Utf8,
    Gb18030,
}

impl Charset {
    /// The value for MSH-18.
    pub const fn msh18(self) -> &'static str {
        match self {
            Self::Utf8 => "UNICODE UTF-8",
            Self::Gb18030 => "GB 18030-2000",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.to_ascii_uppercase().chars().filter(char::is_ascii_alphanumeric).collect();
        if text.contains("UTF8") {
            Some(Self::Utf8)
        } else if text.contains("GB18030") || text.contains("GBK") || text.contains("GB2312") {
            Some(Self::Gb18030)
        } else {
            None
        }
    }
}

/// Decodes a whole message. What MSH-18 declares is used when the bytes agree with it; otherwise valid UTF-8 is read
/// as UTF-8 and everything else as GB18030, since that is what mislabelled Chinese senders really send.
pub fn decode(bytes: &[u8]) -> (String, Charset) {
    // Some senders begin UTF-8 with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let declared = declared(bytes);
    let valid_utf8 = std::str::from_utf8(bytes).is_ok();
    let charset = match declared {
        Some(Charset::Gb18030) => Charset::Gb18030,
        _ if valid_utf8 => Charset::Utf8,
        _ => Charset::Gb18030,
    };
    // A sender that declares GB18030 and sends UTF-8 is told apart by replacement characters.
    if charset == Charset::Gb18030 {
        // Not `decode`, which reads UTF-16 where the bytes begin like it.
        let (text, broken) = GB18030.decode_without_bom_handling(bytes);
        if !(broken && valid_utf8) {
            return (text.into_owned(), Charset::Gb18030);
        }
    }
    let (text, _) = UTF_8.decode_without_bom_handling(bytes);
    (text.into_owned(), Charset::Utf8)
}

/// Encodes for a receiver. Characters outside the set do not exist: both sets cover Unicode.
pub fn encode(text: &str, charset: Charset) -> Vec<u8> {
    let encoding: &'static Encoding = match charset {
        Charset::Utf8 => UTF_8,
        Charset::Gb18030 => GB18030,
    };
    encoding.encode(text).0.into_owned()
}

/// MSH-18 as bytes, found without decoding: MSH is ASCII up to there in every message seen.
fn declared(bytes: &[u8]) -> Option<Charset> {
    let line = bytes.split(|b| *b == b'\r' || *b == b'\n').next()?;
    let separator = *line.get(3)?;
    // MSH-1 is the separator itself, hence field 18 is the 18th piece when `MSH` is piece 1.
    let field = line.split(|b| *b == separator).nth(17)?;
    Charset::parse(&String::from_utf8_lossy(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(charset: &str, name: &str) -> String {
        format!("MSH|^~\\&|HIS|H|MINGYING|R|20260302080000||ADT^A04|1|P|2.5.1||||||{charset}\rPID|1||1||{name}\r")
    }

    #[test]
    fn chinese_names_survive_both_sets_and_wrong_labels() {
        let name = "欧阳娜娜^𠮷";
        for (label, sent) in [
            ("UNICODE UTF-8", Charset::Utf8),
            ("GB 18030-2000", Charset::Gb18030),
            ("", Charset::Utf8),
            ("", Charset::Gb18030),
            ("ASCII", Charset::Gb18030),
            ("8859/1", Charset::Gb18030),
        ] {
            let text = message(label, name);
            let (decoded, found) = decode(&encode(&text, sent));
            assert_eq!(decoded, text, "{label}");
            assert_eq!(found, sent, "{label}");
        }
    }

    #[test]
    fn any_bytes_decode_to_something() {
        let (text, _) = decode(&[0xff, 0xfe, 0x81, 0x30, 0x00]);
        assert!(!text.is_empty());
        assert_eq!(decode(b"").0, "");
    }

    #[test]
    fn byte_order_marks_choose_nothing() {
        let text = message("UNICODE UTF-8", "张三");
        assert_eq!(decode(&[b"\xef\xbb\xbf", text.as_bytes()].concat()), (text, Charset::Utf8));
        assert_eq!(decode(b"\xfe\xff\xd5\xc5").1, Charset::Gb18030);
        assert!(decode(b"\xfe\xff\xd5\xc5").0.ends_with('张'), "not UTF-16");
    }
}
