//! Latin readings of Chinese names (GB/T 28039 for personal names; passports write ü as YU).

use crate::person_name::is_cjk;
use pinyin::{ToPinyin, ToPinyinMulti};

/// Surnames of two characters that are in use.
const COMPOUND: &[&str] = &[
    "欧阳", "太史", "端木", "上官", "司马", "东方", "独孤", "南宫", "万俟", "闻人", "夏侯", "诸葛", "尉迟", "公羊",
    "赫连", "澹台", "皇甫", "宗政", "濮阳", "公冶", "太叔", "申屠", "公孙", "慕容", "仲孙", "钟离", "长孙", "宇文",
    "司徒", "鲜于", "司空", "闾丘", "子车", "亓官", "司寇", "巫马", "公西", "颛孙", "壤驷", "公良", "漆雕", "乐正",
    "宰父", "谷梁", "拓跋", "夹谷", "轩辕", "令狐", "段干", "百里", "呼延", "东郭", "南门", "羊舌", "微生", "左丘",
    "东门", "西门", "第五", "梁丘", "完颜", "叶赫", "纳兰", "单于",
];

/// Surnames read otherwise than the same character in other words.
const SURNAME_READINGS: &[(&str, &str)] = &[
    ("单", "SHAN"),
    ("曾", "ZENG"),
    ("解", "XIE"),
    ("仇", "QIU"),
    ("查", "ZHA"),
    ("区", "OU"),
    ("盖", "GE"),
    ("朴", "PIAO"),
    ("任", "REN"),
    ("华", "HUA"),
    ("翟", "ZHAI"),
    ("缪", "MIAO"),
    ("乐", "YUE"),
    ("员", "YUN"),
    ("黑", "HE"),
    ("秘", "BI"),
    ("逄", "PANG"),
    ("繁", "PO"),
    ("覃", "QIN"),
    ("召", "SHAO"),
    ("折", "SHE"),
    ("幺", "YAO"),
    ("燕", "YAN"),
    ("纪", "JI"),
    ("那", "NA"),
    ("宁", "NING"),
    ("车", "CHE"),
    ("种", "CHONG"),
    ("谌", "CHEN"),
    ("应", "YING"),
    ("冼", "XIAN"),
    ("宓", "MI"),
    ("尹", "YIN"),
    ("石", "SHI"),
    ("沈", "SHEN"),
    ("葛", "GE"),
    ("祭", "ZHAI"),
    ("郗", "XI"),
    ("万", "WAN"),
    ("重", "CHONG"),
    ("牟", "MU"),
    ("贾", "JIA"),
    ("翁", "WENG"),
    ("曲", "QU"),
    ("尉", "WEI"),
    ("薄", "BO"),
    ("乜", "NIE"),
    ("句", "GOU"),
    ("洗", "XIAN"),
    ("尉迟", "YUCHI"),
    ("万俟", "MOQI"),
    ("长孙", "ZHANGSUN"),
    ("澹台", "TANTAI"),
    ("单于", "CHANYU"),
    ("鲜于", "XIANYU"),
    ("令狐", "LINGHU"),
    ("亓官", "QIGUAN"),
    ("拓跋", "TUOBA"),
    ("乐正", "YUEZHENG"),
];

/// Family and given name of a name as it is typed. Without Chinese characters the last word is the family name.
pub fn split_name(name: &str) -> (String, String) {
    let name = name.trim();
    if let Some((family, given)) = name.split_once('^') {
        return (family.trim().to_owned(), given.replace('^', " ").trim().to_owned());
    }
    // Names of other peoples of China carry a dot between given name and father's name: no surname comes first.
    if let Some((first, rest)) = name.split_once(['·', '•', '‧', '・']) {
        return (first.trim().to_owned(), rest.trim().to_owned());
    }
    if name.chars().any(is_cjk) {
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        let count = name.chars().count();
        let compound = count > 2 && COMPOUND.iter().any(|surname| name.starts_with(surname));
        let cut = name.char_indices().nth(if compound { 2 } else { 1 }).map_or(name.len(), |(at, _)| at);
        let (family, given) = name.split_at(cut);
        return (family.to_owned(), given.to_owned());
    }
    match name.rsplit_once(' ') {
        Some((given, family)) => (family.trim().to_owned(), given.trim().to_owned()),
        None => (name.to_owned(), String::new()),
    }
}

/// The reading of a name as `FAMILY^GIVEN` in capitals: `张三` becomes `ZHANG^SAN`.
/// Characters without a known reading are left out.
pub fn name_latin(name: &str) -> String {
    let (family, given) = split_name(name);
    let surname = SURNAME_READINGS
        .iter()
        .find(|(surname, _)| *surname == family)
        .map_or_else(|| syllables(&family).concat(), |(_, reading)| (*reading).to_owned());
    let given = syllables(&given).concat();
    match (surname.trim(), given.trim()) {
        ("", given) => given.to_owned(),
        (surname, "") => surname.to_owned(),
        (surname, given) => format!("{surname}^{given}"),
    }
}

/// The first letters of a name's reading in lower case, for searching: `张三` becomes `zs`, `欧阳娜娜` `oynn`.
pub fn name_initials(name: &str) -> String {
    let (family, given) = split_name(name);
    let mut initials = String::new();
    if let Some(reading) =
        SURNAME_READINGS.iter().find(|(s, _)| *s == family && s.chars().count() == 1).map(|(_, r)| *r)
    {
        initials.extend(reading.chars().next());
    } else {
        initials.extend(syllables(&family).iter().filter_map(|s| s.trim().chars().next()));
    }
    initials.extend(
        given
            .split_whitespace()
            .flat_map(|word| syllables(word).into_iter().filter_map(|s| s.trim().chars().next()).collect::<Vec<_>>()),
    );
    initials.to_ascii_lowercase()
}

/// Every reading of one character, in lower case, the most usual first.
pub fn readings(c: char) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    if let Some(multi) = c.to_pinyin_multi() {
        for reading in multi {
            let plain = passport(reading.plain()).to_ascii_lowercase();
            if !all.contains(&plain) {
                all.push(plain);
            }
        }
    }
    all
}

/// The readings in capitals, one per Chinese character; a run of other characters stays one piece.
fn syllables(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut latin = String::new();
    for c in text.chars() {
        if is_cjk(c) {
            if !latin.is_empty() {
                pieces.push(std::mem::take(&mut latin));
            }
            if let Some(reading) = c.to_pinyin() {
                pieces.push(passport(reading.plain()));
            }
        } else if c.is_alphanumeric() || matches!(c, ' ' | '-' | '\'' | '.') {
            latin.extend(c.to_uppercase());
        }
    }
    if !latin.is_empty() {
        pieces.push(latin);
    }
    pieces
}

/// Passports write `lü` as LYU and `nüe` as NYUE.
fn passport(plain: &str) -> String {
    plain.replace(['ü', 'v'], "yu").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_names() {
        for (name, latin, initials) in [
            ("张三", "ZHANG^SAN", "zs"),
            ("欧阳娜娜", "OUYANG^NANA", "oynn"),
            ("欧阳", "OU^YANG", "oy"),
            ("单雄信", "SHAN^XIONGXIN", "sxx"),
            ("曾小贤", "ZENG^XIAOXIAN", "zxx"),
            ("吕布", "LYU^BU", "lb"),
            ("尉迟恭", "YUCHI^GONG", "wcg"),
            ("买买提·吐尔逊", "MAIMAITI^TUERXUN", "mmttex"),
            ("John Smith", "SMITH^JOHN", "sj"),
            ("李A", "LI^A", "la"),
            ("", "", ""),
        ] {
            assert_eq!(name_latin(name), latin, "{name}");
            // The initials of a compound surname with a reading of its own follow its characters.
            assert_eq!(name_initials(name), initials, "{name}");
        }
        assert_eq!(readings('乐').first().map(String::as_str), Some("le"));
        assert!(readings('乐').contains(&"yue".to_owned()));
    }
}
