//! Makes free text safe for lines and fonts; meaning is untouched.

use serde_json::Value;

/// Latin runs longer than this get break opportunities; nothing that long fits a column.
const LONGEST_RUN: usize = 24;

/// Zero width space: a line may break here.
const BREAK: char = '\u{200b}';

/// Applies `clean` to every string below `value`, except under the keys in `raw` (SVG made here).
pub(crate) fn clean_all(value: &mut Value, raw: &[&str], covered: &dyn Fn(char) -> bool, missing: &mut Vec<char>) {
    match value {
        Value::String(text) => *text = clean(text, covered, missing),
        Value::Array(items) => items.iter_mut().for_each(|item| clean_all(item, raw, covered, missing)),
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                if !raw.contains(&key.as_str()) {
                    clean_all(field, raw, covered, missing);
                }
            }
        }
        _ => {}
    }
}

/// Unifies line ends, drops control characters, lets long runs break, and puts the typesetters' mark 〓 in place of a
/// character that no font has, which is noted in `missing` and explained on the page.
fn clean(text: &str, covered: &dyn Fn(char) -> bool, missing: &mut Vec<char>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = 0;
    for c in text.replace("\r\n", "\n").chars() {
        let c = if c == '\r' { '\n' } else { c };
        if c == '\n' || c == '\t' {
            run = 0;
            out.push(if c == '\t' { ' ' } else { c });
            continue;
        }
        // Controls, and the invisible marks that could turn the reading direction of a line around.
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            continue;
        }
        let breaks = c.is_whitespace() || (c as u32) >= 0x2e80;
        run = if breaks { 0 } else { run + 1 };
        if run > LONGEST_RUN {
            out.push(BREAK);
            run = 1;
        }
        if c.is_whitespace() || covered(c) {
            out.push(c);
        } else {
            if !missing.contains(&c) {
                missing.push(c);
            }
            out.push('〓');
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> (String, Vec<char>) {
        let mut missing = Vec::new();
        let out = clean(text, &|c| c != '\u{10ffff}', &mut missing);
        (out, missing)
    }

    #[test]
    fn keeps_meaning_and_drops_what_cannot_be_set() {
        assert_eq!(cleaned("肝右叶\r\n见 2\u{202e}1 mm\u{7}灶\n\n").0, "肝右叶\n见 21 mm灶");
        assert_eq!(cleaned("𠮷\u{10ffff}"), ("𠮷〓".to_owned(), vec!['\u{10ffff}']));
    }

    #[test]
    fn long_runs_may_break_and_lose_nothing() {
        let word = "x".repeat(100);
        let out = cleaned(&word).0;
        assert_eq!(out.replace(BREAK, ""), word);
        assert!(out.split(BREAK).all(|part| part.len() <= LONGEST_RUN));
        assert!(!cleaned("影".repeat(100).as_str()).0.contains(BREAK));
    }
}
