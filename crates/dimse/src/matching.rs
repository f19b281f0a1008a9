//! Attribute matching (PS3.4 C.2.2.2) of a key data set against a data set in memory: what the index of `archive` or
//! `exam` does not match on is matched here.

use crate::dataset::{DataSet, Element, Value};
use crate::worklist::{date, time};
use dicom_core::VR;

/// Whether `have` answers to all keys. Keys that it does not know match everything: they are return keys.
pub(crate) fn matches(keys: &DataSet, have: &DataSet) -> bool {
    keys.iter().all(|(tag, key)| have.get(*tag).is_none_or(|element| element_matches(key, element)))
}

fn element_matches(key: &Element, have: &Element) -> bool {
    match (&key.value, &have.value) {
        // Sequence matching: one item of keys, which some item answers to (C.2.2.2.6).
        (Value::Items(keys), Value::Items(items)) => {
            keys.first().is_none_or(|keys| is_universal(keys) || items.iter().any(|item| matches(keys, item)))
        }
        (Value::Text(key), Value::Text(text)) => text_matches(have.vr, key.trim(), text),
        // Of another kind than the attribute is: nothing to compare.
        _ => true,
    }
}

fn is_universal(keys: &DataSet) -> bool {
    keys.iter().all(|(_, key)| match &key.value {
        Value::Text(text) => is_universal_text(text.trim()),
        Value::Items(items) => items.first().is_none_or(is_universal),
        Value::Bytes(bytes) => bytes.is_empty(),
    })
}

fn is_universal_text(key: &str) -> bool {
    key.chars().all(|c| c == '*')
}

/// Several values stand beside each other as alternatives, of the key (C.2.2.2.2) and of the attribute.
fn text_matches(vr: VR, key: &str, text: &str) -> bool {
    if is_universal_text(key) {
        return true;
    }
    let mut values = text.split('\\').map(str::trim).filter(|value| !value.is_empty());
    values.any(|value| key.split('\\').map(str::trim).any(|key| value_matches(vr, key, value)))
}

fn value_matches(vr: VR, key: &str, value: &str) -> bool {
    match vr {
        VR::DA => within(key, value, date),
        VR::TM => within(key, value, time),
        VR::PN => name_matches(key, value),
        VR::UI => key == value,
        VR::IS | VR::DS | VR::US | VR::SS | VR::UL | VR::SL | VR::FL | VR::FD => {
            key == value
                || key.parse::<f64>().ok().zip(value.parse::<f64>().ok()).is_some_and(|(a, b)| a.total_cmp(&b).is_eq())
        }
        _ => like(key, value),
    }
}

/// Range and single value matching (C.2.2.2.5); `12` stands for all of that hour.
fn within<T: PartialOrd>(key: &str, value: &str, parse: impl Fn(&str) -> Option<(T, T)>) -> bool {
    let Some((first, last)) = parse(value) else { return false };
    let end = |text: &str| parse(text.trim());
    match key.split_once('-') {
        None => end(key).is_some_and(|(from, to)| from <= first && last <= to || first <= from && to <= last),
        Some((from, to)) => {
            let after = from.trim().is_empty() || end(from).is_some_and(|(from, _)| from <= first);
            let before = to.trim().is_empty() || end(to).is_some_and(|(_, to)| first <= to);
            after && before
        }
    }
}

/// Names compare without case and without telling component delimiters from blanks; any group of the key may match any
/// group of the name.
fn name_matches(key: &str, name: &str) -> bool {
    let tidy = |text: &str| text.to_lowercase().replace('^', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let groups: Vec<String> = name.split('=').map(tidy).filter(|group| !group.is_empty()).collect();
    key.split('=')
        .map(tidy)
        .filter(|key| !key.is_empty())
        .any(|key| groups.iter().any(|group| like(&key, group) || like(&key.replace(' ', ""), &group.replace(' ', ""))))
}

/// `*` is any sequence, `?` any one character (C.2.2.2.4). Without recursion: no pattern can exhaust anything.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and up to where it reaches.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(t) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, reach)) => {
                    star = Some((at, reach + 1));
                    (p, t) = (at + 1, reach + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
