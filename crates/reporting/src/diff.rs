//! What changed between two versions, by Chinese character or Latin word.

use crate::Text;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Equal,
    Insert,
    Delete,
}

impl Op {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Insert => "insert",
            Self::Delete => "delete",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub op: Op,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    pub findings: Vec<Change>,
    pub impression: Vec<Change>,
    pub advice: Vec<Change>,
}

/// After this long the rest is shown as one replacement: correct, only coarser.
const PATIENCE: Duration = Duration::from_millis(200);

pub fn diff(from: &Text, to: &Text) -> Diff {
    Diff {
        findings: changes(&from.findings, &to.findings),
        impression: changes(&from.impression, &to.impression),
        advice: changes(&from.advice, &to.advice),
    }
}

fn changes(from: &str, to: &str) -> Vec<Change> {
    let (old, new) = (tokens(from), tokens(to));
    let mut out: Vec<Change> = Vec::new();
    let mut push = |op: Op, parts: Option<&[&str]>| {
        let text = parts.unwrap_or_default().concat();
        if text.is_empty() {
            return;
        }
        match out.last_mut() {
            Some(last) if last.op == op => last.text.push_str(&text),
            _ => out.push(Change { op, text }),
        }
    };
    for op in capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(Instant::now() + PATIENCE)) {
        match op {
            DiffOp::Equal { old_index, len, .. } => push(Op::Equal, old.get(old_index..old_index + len)),
            DiffOp::Delete { old_index, old_len, .. } => push(Op::Delete, old.get(old_index..old_index + old_len)),
            DiffOp::Insert { new_index, new_len, .. } => push(Op::Insert, new.get(new_index..new_index + new_len)),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                push(Op::Delete, old.get(old_index..old_index + old_len));
                push(Op::Insert, new.get(new_index..new_index + new_len));
            }
        }
    }
    out
}

/// Latin words and numbers with their decimals stay whole (`12.5` is not `1` and `2.5`), everything else is one
/// character each.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = None;
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    for (i, &(at, c)) in chars.iter().enumerate() {
        let next_digit = chars.get(i + 1).is_some_and(|(_, n)| n.is_ascii_digit());
        let in_number = c == '.' && start.is_some() && next_digit;
        if c.is_ascii_alphanumeric() || in_number {
            start.get_or_insert(at);
            continue;
        }
        if let Some(begin) = start.take() {
            out.extend(text.get(begin..at));
        }
        out.extend(text.get(at..at + c.len_utf8()));
    }
    if let Some(begin) = start {
        out.extend(text.get(begin..));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(from: &str, to: &str) -> String {
        changes(from, to)
            .iter()
            .map(|c| match c.op {
                Op::Equal => c.text.clone(),
                Op::Insert => format!("[+{}]", c.text),
                Op::Delete => format!("[-{}]", c.text),
            })
            .collect()
    }

    #[test]
    fn changes_are_shown_by_character_and_word() {
        assert_eq!(shown("右膝未见异常。", "左膝未见异常。"), "[-右][+左]膝未见异常。");
        assert_eq!(shown("约 12.5 mm 结节", "约 13.5 mm 结节"), "约 [-12.5][+13.5] mm 结节");
        assert_eq!(shown("", "新"), "[+新]");
        assert_eq!(shown("同", "同"), "同");
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_back(a in "[左右膝 a-c0-9.\n]{0,60}", b in "[左右膝 a-c0-9.\n]{0,60}") {
            let changes = changes(&a, &b);
            let side = |skip: Op| changes.iter().filter(|c| c.op != skip).map(|c| c.text.as_str()).collect::<String>();
            prop_assert_eq!(side(Op::Insert), a);
            prop_assert_eq!(side(Op::Delete), b);
        }
    }
}
