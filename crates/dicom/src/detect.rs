//! Telling what mislabelled bytes are: UTF-8, GB18030, or really Latin-1.

use encoding_rs::GB18030;

/// The text, when `bytes` (labelled Latin-1, ASCII or UTF-8) are with high likelihood UTF-8 or GB18030.
pub(crate) fn guess(bytes: &[u8]) -> Option<String> {
    let gb = gb(bytes);
    match std::str::from_utf8(bytes) {
        // Three-byte sequences in a row hardly ever happen by chance; two-byte ones do ("谭" in GBK is a valid UTF-8
        // pair), so there the reading as Chinese wins when it is a convincing one.
        Ok(text) if text.chars().any(|c| u32::from(c) >= 0x800) => Some(text.to_owned()),
        Ok(text) => Some(gb.unwrap_or_else(|| text.to_owned())),
        Err(_) => gb,
    }
}

/// The text, when `bytes` labelled GB18030 are with high likelihood UTF-8.
pub(crate) fn utf8_under_gb(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let han = |t: &str| t.chars().filter(|c| is_han(*c)).count();
    let foreign = text.chars().any(|c| !c.is_ascii() && !is_han(c) && !is_cjk_symbol(c));
    if han(text) == 0 || foreign {
        return None;
    }
    let (as_gb, broken) = GB18030.decode_without_bom_handling(bytes);
    (broken || usualness(text) > usualness(&as_gb)).then(|| text.to_owned())
}

/// The reading as GB18030, when it is convincing: valid, mostly common characters, and not what Latin-1 text with its
/// single accented letters between ASCII letters looks like.
fn gb(bytes: &[u8]) -> Option<String> {
    let (mut text, mut broken) = GB18030.decode_without_bom_handling(bytes);
    if broken {
        // A value cut at its maximum length may end in the first half of a character.
        let (last, rest) = bytes.split_last()?;
        if !(0x81..=0xfe).contains(last) {
            return None;
        }
        (text, broken) = GB18030.decode_without_bom_handling(rest);
        if broken {
            return None;
        }
    }
    let chars: Vec<char> = text.chars().collect();
    let mut points = 0i64;
    let mut start = 0;
    while let Some(&c) = chars.get(start) {
        if c.is_ascii() {
            start += 1;
            continue;
        }
        let len = chars.iter().skip(start).take_while(|c| !c.is_ascii()).count();
        let letter = |i: Option<usize>| i.and_then(|i| chars.get(i)).is_some_and(char::is_ascii_alphabetic);
        let touches_letters = letter(start.checked_sub(1)) || letter(Some(start + len));
        for &c in chars.iter().skip(start).take(len) {
            points += match Rank::of(c) {
                Rank::Common if len > 1 => 2,
                Rank::Common if !touches_letters => 2,
                Rank::Second if len > 1 => 1,
                Rank::Second if !touches_letters => 1,
                Rank::Symbol => 0,
                Rank::Rare if len > 2 => 0,
                _ => -3,
            };
        }
        start += len;
    }
    (points > 0).then(|| text.into_owned())
}

/// How usual a character is in Chinese text, by its place in GB 2312.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// Level 1: the 3755 usual characters.
    Common,
    /// Level 2: 3008 less usual ones.
    Second,
    /// Full-width punctuation and letters.
    Symbol,
    Rare,
}

impl Rank {
    fn of(c: char) -> Self {
        let mut buffer = [0u8; 4];
        let (bytes, _, unmappable) = GB18030.encode(c.encode_utf8(&mut buffer));
        match (unmappable, bytes.as_ref()) {
            (false, [0xb0..=0xd7, 0xa1..=0xfe]) => Self::Common,
            (false, [0xd8..=0xf7, 0xa1..=0xfe]) => Self::Second,
            (false, [0xa1..=0xa3, 0xa1..=0xfe]) => Self::Symbol,
            _ => Self::Rare,
        }
    }
}

/// How usual the characters beyond ASCII are, from 0 to 1.
fn usualness(text: &str) -> f64 {
    let weights: Vec<f64> = text
        .chars()
        .filter(|c| !c.is_ascii())
        .map(|c| match Rank::of(c) {
            Rank::Common => 1.0,
            Rank::Second => 0.8,
            Rank::Symbol => 0.5,
            Rank::Rare => 0.0,
        })
        .collect();
    if weights.is_empty() { 0.0 } else { weights.iter().sum::<f64>() / weights.len() as f64 }
}

fn is_han(c: char) -> bool {
    matches!(u32::from(c), 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

fn is_cjk_symbol(c: char) -> bool {
    matches!(u32::from(c), 0x3000..=0x303f | 0xff00..=0xffef | 0x2010..=0x2027 | 0xb7)
}
