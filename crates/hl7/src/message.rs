//! Reading fields of a parsed message by position, with escapes resolved.

use crate::{MAX_MESSAGE, Refusal};
use hl7_parser::message::{Field, Segment};

/// MSH, as far as routing and acknowledging need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    pub sending_application: String,
    pub sending_facility: String,
    pub receiving_application: String,
    pub receiving_facility: String,
    /// `ADT`
    pub kind: String,
    /// `A04`
    pub event: String,
    pub control_id: String,
    /// `P`, `T` or `D`
    pub processing_id: String,
    pub version: String,
}

/// Fields, repeats, components and segments of one message. Each costs the parser some 700 bytes of memory; real orders
/// have a few hundred.
const MAX_PIECES: usize = 16_384;

/// A parsed message over its text.
pub struct Message<'t> {
    inner: hl7_parser::Message<'t>,
    /// The parser stopped before the end of the text: what follows its last segment is none.
    cut_short: bool,
}

impl<'t> Message<'t> {
    /// Parses text; segments end with CR, or all of them with LF or both. A text that goes on after its last segment is
    /// read up to there, so that the sender can be answered; `whole` tells.
    pub fn parse(text: &'t str) -> Result<Self, Refusal> {
        if text.len() > MAX_MESSAGE || !text.starts_with("MSH") || pieces(text) > MAX_PIECES {
            return Err(Refusal::malformed());
        }
        // Where segments end with CR as they should, a lone LF is a line break inside a text.
        let lenient = text.contains("\r\n") || !text.contains('\r');
        let inner =
            hl7_parser::Message::parse_with_lenient_newlines(text, lenient).map_err(|_| Refusal::malformed())?;
        let rest = text.get(inner.raw_value().len()..).unwrap_or_default();
        Ok(Self { inner, cut_short: !rest.trim().is_empty() })
    }

    /// Refuses a message of which only the beginning could be read. An order without its last segments is another order.
    pub(crate) fn whole(&self) -> Result<(), Refusal> {
        if self.cut_short {
            let location = format!("#{}", self.inner.segments().count() + 1);
            return Err(Refusal { location, ..Refusal::malformed() });
        }
        Ok(())
    }

    pub fn header(&self) -> Header {
        let at = |field, component| self.value("MSH", 1, field, 1, component);
        Header {
            sending_application: at(3, 1),
            sending_facility: at(4, 1),
            receiving_application: at(5, 1),
            receiving_facility: at(6, 1),
            kind: at(9, 1),
            event: at(9, 2),
            control_id: at(10, 1),
            processing_id: at(11, 1),
            version: at(12, 1),
        }
    }

    /// How many segments of that name there are.
    pub fn count(&self, segment: &str) -> usize {
        self.inner.segments().filter(|s| s.name == segment).count()
    }

    /// The value at `segment[occurrence]-field(repeat).component`, all counted from 1; empty when absent.
    /// `""` (HL7 null, "delete this") reads as empty.
    pub fn value(&self, segment: &str, occurrence: usize, field: usize, repeat: usize, component: usize) -> String {
        let found = self
            .field(segment, occurrence, field)
            .and_then(|f| f.repeats().nth(repeat.saturating_sub(1)))
            .and_then(|r| r.components().nth(component.saturating_sub(1)));
        let raw = found.map(|c| c.raw_value()).unwrap_or_default();
        self.clean(raw)
    }

    /// The first subcomponent-aware value: `segment-field(repeat).component.subcomponent`.
    pub fn sub(
        &self,
        segment: &str,
        occurrence: usize,
        field: usize,
        repeat: usize,
        component: usize,
        subcomponent: usize,
    ) -> String {
        let raw = self
            .field(segment, occurrence, field)
            .and_then(|f| f.repeats().nth(repeat.saturating_sub(1)))
            .and_then(|r| r.components().nth(component.saturating_sub(1)))
            .and_then(|c| c.raw_value().split(self.inner.separators.subcomponent).nth(subcomponent.saturating_sub(1)))
            .unwrap_or_default();
        self.clean(raw)
    }

    /// How often a field repeats; 0 when it is absent or empty.
    pub fn repeats(&self, segment: &str, occurrence: usize, field: usize) -> usize {
        match self.field(segment, occurrence, field) {
            Some(f) if !f.raw_value().is_empty() => f.repeats().count(),
            _ => 0,
        }
    }

    fn field(&self, segment: &str, occurrence: usize, field: usize) -> Option<&Field<'t>> {
        self.segment(segment, occurrence)?.field(field)
    }

    fn segment(&self, segment: &str, occurrence: usize) -> Option<&Segment<'t>> {
        self.inner.segments().filter(|s| s.name == segment).nth(occurrence.saturating_sub(1))
    }

    fn clean(&self, raw: &str) -> String {
        if raw == "\"\"" {
            return String::new();
        }
        unescape(raw, self.inner.separators.escape, &self.inner.separators).trim().to_owned()
    }
}

/// How often the separators that the message itself names (MSH-1, MSH-2) and line ends stand in it.
fn pieces(text: &str) -> usize {
    let separators: Vec<char> = text.chars().skip(3).take(5).chain(['\r', '\n']).collect();
    text.chars().filter(|c| separators.contains(c)).count()
}

/// Resolves escape sequences (v2.5.1 chapter 2.7). Ours, because the parser's own slices inside multi-byte
/// characters. Unknown and unclosed sequences stay as they are.
fn unescape(raw: &str, escape: char, separators: &hl7_parser::message::Separators) -> String {
    if !raw.contains(escape) {
        return raw.to_owned();
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once(escape) {
        out.push_str(before);
        let Some((sequence, tail)) = after.split_once(escape) else {
            out.push(escape);
            rest = after;
            continue;
        };
        match sequence {
            "F" => out.push(separators.field),
            "S" => out.push(separators.component),
            "T" => out.push(separators.subcomponent),
            "R" => out.push(separators.repetition),
            "E" => out.push(escape),
            ".br" | "X0D" | "X0A" | "X0D0A" => out.push('\n'),
            "H" | "N" => {}
            _ => {
                out.push(escape);
                out.push_str(sequence);
                // The closing escape may open the next sequence.
                rest = after.get(sequence.len()..).unwrap_or_default();
                continue;
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_resolve_beside_han_characters() {
        let text = "MSH|^~\\&|A|B|C|D|2026||ADT^A04|1|P|2.5.1\rNTE|1||王\\F\\芳\\.br\\次行\\Zx\\末\\";
        let message = Message::parse(text).unwrap();
        assert_eq!(message.value("NTE", 1, 3, 1, 1), "王|芳\n次行\\Zx\\末\\");
    }

    const MSH: &str = "MSH|^~\\&|A|B|C|D|2026||ADT^A04|1|P|2.5.1";

    #[test]
    fn nothing_after_an_unreadable_segment_is_dropped_in_silence() {
        let parse = |rest: &str| Message::parse(&format!("{MSH}{rest}")).map(|m| (m.count("PID"), m.whole().is_ok()));
        assert_eq!(parse("\rPID|1\r\n\r"), Ok((1, true)));
        assert_eq!(parse("\nPID|1\n"), Ok((1, true)));
        assert_eq!(parse("\rNTE||one\nother|line\rPID|1"), Ok((1, true)), "a line break inside a text");
        assert_eq!(parse("\rstray\rPID|1"), Ok((0, false)));
        let text = format!("{MSH}\rEVN|A04\rstray\rPID|1");
        let message = Message::parse(&text).unwrap();
        assert_eq!(message.whole().unwrap_err().location, "#3");
        assert_eq!(message.header().control_id, "1", "for the answer");
    }

    #[test]
    fn a_message_of_separators_is_refused_before_it_costs_memory() {
        for separator in ['|', '~', '^', '&', '\r'] {
            let text = format!("{MSH}\rPID|{}", separator.to_string().repeat(MAX_PIECES));
            assert_eq!(Message::parse(&text).err(), Some(Refusal::malformed()), "{separator:?}");
        }
        let own = format!("MSH!*~\\&!A!B\rPID!{}", "*".repeat(MAX_PIECES));
        assert!(Message::parse(&own).is_err(), "separators that the message chose");
    }
}
