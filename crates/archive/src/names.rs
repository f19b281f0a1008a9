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

/// Words of a name that are put in any order; further ones are left out.
const MAX_WORDS: usize = 3;

/// Patterns for the words of a name as typed, in each order, and each only begun: one of them matches a search form of
/// that name, whichever order its words were registered in. Chinese characters stand for what sounds like them.
pub(crate) fn any_order(group: &str) -> Vec<String> {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(['^', ' ', ',', '*', '?']).map(normal).filter(|word| !word.is_empty());
        parts.take(MAX_WORDS).collect()
    };
    let mut forms = Vec::new();
    let typed = words(group);
    let latin = if group.is_ascii() { Vec::new() } else { words(&name_latin(&typed.join("^"))) };
    for words in [typed, latin] {
        for order in orders(&words) {
            for joint in ["", "*^", "* "] {
                let form = format!("{}*", order.join(joint));
                if form != "*" && !forms.contains(&form) {
                    forms.push(form);
                }
            }
        }
    }
    forms
}

/// All orders of a few words.
fn orders(words: &[String]) -> Vec<Vec<&str>> {
    match words.split_first() {
        None => vec![Vec::new()],
        Some((first, rest)) => orders(rest)
            .into_iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, first.as_str());
                    order
                })
            })
            .collect(),
    }
}

/// Upper case, without blanks at the ends and without carets at the end.
pub(crate) fn normal(text: &str) -> String {
    text.trim().trim_end_matches(['^', ' ']).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_order() {
        let forms = ["SANZH*", "SAN*^ZH*", "SAN* ZH*", "ZHSAN*", "ZH*^SAN*", "ZH* SAN*"];
        assert_eq!(any_order("San zh"), forms);
        assert_eq!(any_order("zh*"), ["ZH*"]);
        assert!(any_order("章三").contains(&"ZHANGSAN*".to_owned()), "{:?}", any_order("章三"));
        assert!(any_order("a b c d").len() <= 18);
        assert!(any_order("^*").is_empty());
    }

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
