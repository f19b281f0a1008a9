//! Code extensions by escape sequences (PS3.5 6.1.2.5, Annexes H to K).

use crate::charset::{Charset, Term, Unencodable};
use dicom_core::VR;
use encoding_rs::{EUC_JP, EUC_KR, GBK, SHIFT_JIS};

const ESC: u8 = 0x1b;

/// Where a set is invoked: the left half (0x21-0x7e) or the right half (0xa1-0xfe) of the code table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    G0,
    G1,
}

/// The sequences of PS3.3 Tables C.12-3 and C.12-4, and two that older devices write.
const SEQUENCES: &[(&[u8], Half, Term)] = &[
    (b"(B", Half::G0, Term::Ascii),
    (b"(J", Half::G0, Term::Katakana),
    (b")I", Half::G1, Term::Katakana),
    (b"-A", Half::G1, Term::Latin1),
    (b"-B", Half::G1, Term::Latin2),
    (b"-C", Half::G1, Term::Latin3),
    (b"-D", Half::G1, Term::Latin4),
    (b"-L", Half::G1, Term::Cyrillic),
    (b"-G", Half::G1, Term::Arabic),
    (b"-F", Half::G1, Term::Greek),
    (b"-H", Half::G1, Term::Hebrew),
    (b"-M", Half::G1, Term::Latin5),
    (b"-b", Half::G1, Term::Latin9),
    (b"-T", Half::G1, Term::Thai),
    (b"$B", Half::G0, Term::Kanji),
    (b"$@", Half::G0, Term::Kanji),
    (b"$(D", Half::G0, Term::KanjiSupplement),
    (b"$)C", Half::G1, Term::Korean),
    (b"$)A", Half::G1, Term::Gb2312),
    (b"$A", Half::G0, Term::Gb2312),
];

/// Whether the character ends the reach of escape sequences: the initial state is restored after it.
fn resets(byte: u8, vr: VR) -> bool {
    match byte {
        b'\t' | b'\n' | 0x0c | b'\r' => true,
        b'\\' => matches!(vr, VR::SH | VR::LO | VR::UC | VR::PN),
        b'^' | b'=' => vr == VR::PN,
        _ => false,
    }
}

fn initial_g1(charset: &Charset) -> Option<Term> {
    charset.terms.first().copied().filter(|term| {
        matches!(term, Term::Latin1 | Term::Katakana | Term::Korean | Term::Gb2312) || term.single_byte().is_some()
    })
}

pub(crate) fn decode(charset: &Charset, bytes: &[u8], vr: VR) -> String {
    let mut out = String::with_capacity(bytes.len());
    let start_g1 = initial_g1(charset);
    let (mut g0, mut g1) = (Term::Ascii, start_g1);
    // Devices forget to repeat a sequence after a delimiter; then the last one they wrote is what they mean.
    let mut last_g1 = charset.terms.iter().copied().find(|t| matches!(t, Term::Gb2312 | Term::Korean));
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == ESC {
            if let Some((sequence, half, term)) = SEQUENCES.iter().find(|(s, _, _)| tail.starts_with(s)) {
                match half {
                    Half::G0 => g0 = if *term == Term::Katakana { Term::Ascii } else { *term },
                    Half::G1 => {
                        g1 = Some(*term);
                        last_g1 = g1;
                    }
                }
                rest = tail.get(sequence.len()..).unwrap_or_default();
            } else {
                // Not a sequence of the standard: keep what can be shown, drop the control character.
                rest = tail;
            }
            continue;
        }
        if byte < 0x80 {
            if g0 != Term::Ascii && byte > 0x20 {
                if let Some((&second, tail)) = tail.split_first()
                    && (0x21..=0x7e).contains(&second)
                {
                    two_bytes(&mut out, g0, byte | 0x80, second | 0x80);
                    rest = tail;
                    continue;
                }
                // A delimiter inside a two-byte set breaks the standard: the set ends here.
                g0 = Term::Ascii;
            }
            out.push(char::from(byte));
            if resets(byte, vr) {
                (g0, g1) = (Term::Ascii, start_g1);
            }
            rest = tail;
            continue;
        }
        let run = rest.iter().take_while(|b| **b >= 0x80).count();
        match g1.or(last_g1) {
            // In practice Shift JIS is sent under ISO_IR 13; its trailing bytes reach below 0x80.
            Some(Term::Katakana) if !charset_extended(charset) => {
                let run = rest.iter().take_while(|b| **b != ESC && !resets(**b, vr)).count();
                let (high, after) = rest.split_at(run);
                out.push_str(&SHIFT_JIS.decode_without_bom_handling(high).0);
                rest = after;
            }
            Some(term) => {
                let (high, after) = rest.split_at(run);
                high_run(&mut out, term, high);
                rest = after;
            }
            None => {
                let (high, after) = rest.split_at(run);
                out.push_str(&crate::charset::latin1(high));
                rest = after;
            }
        }
    }
    out
}

fn charset_extended(charset: &Charset) -> bool {
    charset.terms.len() > 1
}

/// One character of a two-byte set, both bytes in the right half.
fn two_bytes(out: &mut String, term: Term, first: u8, second: u8) {
    match term {
        Term::Kanji => out.push_str(&EUC_JP.decode_without_bom_handling(&[first, second]).0),
        Term::KanjiSupplement => out.push_str(&EUC_JP.decode_without_bom_handling(&[0x8f, first, second]).0),
        Term::Gb2312 => out.push_str(&GBK.decode_without_bom_handling(&[first, second]).0),
        Term::Korean => out.push_str(&EUC_KR.decode_without_bom_handling(&[first, second]).0),
        _ => out.push('\u{fffd}'),
    }
}

fn high_run(out: &mut String, term: Term, high: &[u8]) {
    match term {
        Term::Gb2312 => out.push_str(&GBK.decode_without_bom_handling(high).0),
        Term::Korean => out.push_str(&EUC_KR.decode_without_bom_handling(high).0),
        Term::Katakana => out.extend(high.iter().map(|&b| match b {
            0xa1..=0xdf => char::from_u32(0xff61 + u32::from(b - 0xa1)).unwrap_or('\u{fffd}'),
            _ => '\u{fffd}',
        })),
        _ => match term.single_byte() {
            Some(table) => out.extend(high.iter().map(|&b| single(table, b))),
            None => out.push_str(&crate::charset::latin1(high)),
        },
    }
}

/// A byte of a single-byte set. The C1 controls are not graphic in any of them, whatever the web's tables say.
fn single(table: &'static encoding_rs::Encoding, byte: u8) -> char {
    if byte < 0xa0 {
        return char::from(byte);
    }
    table.decode_without_bom_handling(&[byte]).0.chars().next().unwrap_or('\u{fffd}')
}

/// How one character is written: the half and set it needs, and its bytes.
fn bytes_in(term: Term, c: char) -> Option<(Half, Vec<u8>)> {
    let mut buffer = [0u8; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    let with = |encoding: &'static encoding_rs::Encoding| {
        let (bytes, _, unmappable) = encoding.encode(text);
        (!unmappable).then(|| bytes.into_owned())
    };
    match term {
        Term::Latin1 => u8::try_from(u32::from(c)).ok().filter(|b| *b >= 0xa0).map(|b| (Half::G1, vec![b])),
        Term::Katakana => match u32::from(c) {
            code @ 0xff61..=0xff9f => u8::try_from(code - 0xff61 + 0xa1).ok().map(|b| (Half::G1, vec![b])),
            _ => None,
        },
        Term::Gb2312 => with(GBK).filter(|b| is_gb2312(b)).map(|b| (Half::G1, b)),
        // The web's EUC-KR holds more than KS X 1001, whose characters have both bytes in the right half.
        Term::Korean => with(EUC_KR).filter(|b| matches!(b[..], [0xa1..=0xfe, 0xa1..=0xfe])).map(|b| (Half::G1, b)),
        Term::Kanji => with(EUC_JP)
            .filter(|b| matches!(b[..], [0xa1..=0xfe, 0xa1..=0xfe]))
            .map(|b| (Half::G0, b.iter().map(|b| b & 0x7f).collect())),
        Term::KanjiSupplement => None,
        _ => term.single_byte().and_then(with).filter(|b| matches!(b[..], [0xa0..=0xff])).map(|b| (Half::G1, b)),
    }
}

fn is_gb2312(bytes: &[u8]) -> bool {
    matches!(bytes, [0xa1..=0xa9 | 0xb0..=0xf7, 0xa1..=0xfe])
}

fn sequence_of(term: Term, half: Half) -> &'static [u8] {
    SEQUENCES.iter().find(|(_, h, t)| *h == half && *t == term).map_or(&[], |(s, _, _)| *s)
}

pub(crate) fn encode(charset: &Charset, text: &str, vr: VR) -> Result<Vec<u8>, Unencodable> {
    let mut out = Vec::with_capacity(text.len() * 2);
    // ISO IR 58 and 149 as the first term are not in force at once: their characters need the sequence each time.
    let start_g1 = initial_g1(charset).filter(|t| !matches!(t, Term::Gb2312 | Term::Korean));
    let (mut g0, mut g1) = (Term::Ascii, start_g1);
    for c in text.chars() {
        if let Ok(byte) = u8::try_from(u32::from(c))
            && byte < 0x80
        {
            if byte == ESC {
                return Err(Unencodable);
            }
            if g0 != Term::Ascii {
                out.extend([ESC, b'(', b'B']);
                g0 = Term::Ascii;
            }
            out.push(byte);
            if resets(byte, vr) {
                (g0, g1) = (Term::Ascii, start_g1);
            }
            continue;
        }
        let (term, (half, bytes)) =
            charset.terms.iter().find_map(|&term| Some((term, bytes_in(term, c)?))).ok_or(Unencodable)?;
        let in_force = match half {
            Half::G0 => g0 == term,
            Half::G1 => g1 == Some(term),
        };
        if !in_force {
            out.push(ESC);
            out.extend(sequence_of(term, half));
            match half {
                Half::G0 => g0 = term,
                Half::G1 => g1 = Some(term),
            }
        }
        out.extend(bytes);
    }
    if g0 != Term::Ascii {
        out.extend([ESC, b'(', b'B']);
    }
    Ok(out)
}
