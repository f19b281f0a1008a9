//! The forms under which a person's name is found.

use mingying_dicom::{PersonName, name_initials, name_latin};

/// Longest search form that is kept; PN groups have at most 64 characters, odd senders more.
const MAX_TERM: usize = 200;

/// Search forms of a name, upper case: each group with carets, with blanks and without; the pinyin of Chinese names in
/// the same forms; its initials.
pub(crate) fn search_terms(name: &PersonName) -> Vec<String> {
    let mut terms = Vec::new();
    let mut add = |text: String| {
        let text: String = normal(&text).chars().take(MAX_TERM).collect();
        if !text.is_empty() && !terms.contains(&text) {
            terms.push(text);
        }
    };
    for group in [&name.alphabetic, &name.ideographic, &name.phonetic] {
        let text = group.to_string();
        add(text.replace('^', ""));
        add(text.replace('^', " "));
        add(text);
    }
    if !name.ideographic.is_empty() {
        let typed = name.ideographic.to_string();
        let typed = if typed.contains('^') { typed } else { name.display() };
        let latin = name_latin(&typed);
        add(latin.replace('^', ""));
        add(latin.replace('^', " "));
        add(latin);
        add(name_initials(&typed));
    }
    terms
}

/// Upper case, without blanks at the ends and without carets at the end.
pub(crate) fn normal(text: &str) -> String {
    text.trim().trim_end_matches(['^', ' ']).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_names_are_found_by_characters_pinyin_and_initials() {
        let terms = search_terms(&PersonName::parse("Zhang^San=张^三"));
        for wanted in ["ZHANG^SAN", "ZHANGSAN", "ZHANG SAN", "张^三", "张三", "ZS"] {
            assert!(terms.contains(&wanted.to_owned()), "{wanted} in {terms:?}");
        }
        let terms = search_terms(&PersonName::parse("王小明"));
        for wanted in ["王小明", "WANG^XIAOMING", "WXM"] {
            assert!(terms.contains(&wanted.to_owned()), "{wanted} in {terms:?}");
        }
        assert_eq!(search_terms(&PersonName::parse("Doe^John^^")), ["DOEJOHN", "DOE JOHN", "DOE^JOHN"]);
        assert!(search_terms(&PersonName::default()).is_empty());
    }
}
