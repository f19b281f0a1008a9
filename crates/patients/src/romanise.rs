//! Chinese names in Latin letters: for devices without Chinese fonts, and for finding people by what one types.

use pinyin::ToPinyin;

/// Surnames whose reading as a name differs from the character's most frequent one.
const SURNAMES: &[(&str, &str)] = &[
    ("尉迟", "yu chi"),
    ("万俟", "mo qi"),
    ("长孙", "zhang sun"),
    ("单于", "chan yu"),
    ("澹台", "tan tai"),
    ("单", "shan"),
    ("曾", "zeng"),
    ("解", "xie"),
    ("仇", "qiu"),
    ("查", "zha"),
    ("区", "ou"),
    ("朴", "piao"),
    ("盖", "ge"),
    ("任", "ren"),
    ("华", "hua"),
    ("翟", "zhai"),
    ("覃", "qin"),
    ("乐", "yue"),
    ("缪", "miao"),
    ("谌", "chen"),
    ("冼", "xian"),
    ("洗", "xian"),
    ("宁", "ning"),
    ("燕", "yan"),
    ("秘", "bi"),
    ("黑", "he"),
    ("召", "shao"),
    ("员", "yun"),
    ("折", "she"),
    ("繁", "po"),
    ("种", "chong"),
    ("重", "chong"),
    ("祭", "zhai"),
    ("隗", "wei"),
    ("逄", "pang"),
    ("佴", "nai"),
    ("郇", "xun"),
    ("那", "na"),
    ("哈", "ha"),
    ("石", "shi"),
    ("沈", "shen"),
];

/// Surnames of two characters, so that `Ouyang Xiu` is not written `Ou Yangxiu`.
const COMPOUND: &[&str] = &[
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "宇文", "长孙", "司徒", "司空",
    "夏侯", "南宫", "端木", "申屠", "独孤", "呼延", "万俟", "轩辕", "澹台", "单于", "钟离", "闻人", "赫连", "濮阳",
    "太史", "淳于",
];

struct Spelled {
    surname: Vec<String>,
    given: Vec<String>,
}

fn is_han(c: char) -> bool {
    matches!(c as u32, 0x2E80..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

fn syllable(c: char) -> String {
    // `ü` is written `v` in passports and input methods alike.
    c.to_pinyin().map_or_else(|| c.to_string(), |p| p.plain().replace('ü', "v"))
}

fn spell(name: &str) -> Spelled {
    let chars: Vec<char> = name.chars().filter(|c| !c.is_whitespace() && *c != '^' && *c != '·').collect();
    let text: String = chars.iter().collect();
    let take = if chars.len() > 2 && COMPOUND.iter().any(|c| text.starts_with(c)) { 2 } else { 1 };
    let (head, tail) = chars.split_at(take.min(chars.len()));
    let head_text: String = head.iter().collect();
    let surname = match SURNAMES.iter().find(|(han, _)| *han == head_text) {
        Some((_, reading)) => reading.split(' ').map(str::to_owned).collect(),
        None => head.iter().map(|c| syllable(*c)).collect(),
    };
    Spelled { surname, given: tail.iter().map(|c| syllable(*c)).collect() }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `张三丰` becomes `Zhang Sanfeng`; a name without Chinese characters stays.
pub fn latin(name: &str) -> String {
    if !name.chars().any(is_han) {
        return name.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let spelled = spell(name);
    let words = [capital(&spelled.surname.concat()), capital(&spelled.given.concat())];
    words.iter().filter(|w| !w.is_empty()).cloned().collect::<Vec<_>>().join(" ")
}

/// Lower case without spaces: what prefix searches over names compare.
pub fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '^' | '·' | '-' | '\'' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The key by which a name is found in Latin letters: `zhangsanfeng`, `johnsmith`.
pub fn sound(name: &str) -> String {
    folded(&latin(name))
}

/// Initials: `zsf`, `js`.
pub fn initials(name: &str) -> String {
    if !name.chars().any(is_han) {
        return name
            .split(|c: char| c.is_whitespace() || c == '^' || c == '·')
            .filter_map(|w| w.chars().next())
            .flat_map(char::to_lowercase)
            .collect();
    }
    let spelled = spell(name);
    spelled.surname.iter().chain(&spelled.given).filter_map(|s| s.chars().next()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chinese_names_are_spelled() {
        assert_eq!(latin("张三"), "Zhang San");
        assert_eq!(latin("张三丰"), "Zhang Sanfeng");
        assert_eq!(latin("欧阳修"), "Ouyang Xiu");
        assert_eq!(latin("单田芳"), "Shan Tianfang");
        assert_eq!(latin("曾国藩"), "Zeng Guofan");
        assert_eq!(latin("吕布"), "Lv Bu");
        assert_eq!(latin("John  Smith"), "John Smith");
        assert_eq!(sound("张三丰"), "zhangsanfeng");
        assert_eq!(initials("张三丰"), "zsf");
        assert_eq!(initials("欧阳修"), "oyx");
        assert_eq!(initials("John Smith"), "js");
        assert_eq!(folded("O'Brien Anna"), "obrienanna");
    }

    proptest! {
        #[test]
        fn spelling_never_panics(name in "\\PC{0,20}") {
            let _ = (latin(&name), sound(&name), initials(&name));
        }
    }
}
