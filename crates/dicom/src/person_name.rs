//! Person names, VR PN (PS3.5 6.2.1): up to three component groups, each of up to five components.

use std::fmt;

/// One component group: family, given, middle, prefix, suffix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NameGroup {
    pub family: String,
    pub given: String,
    pub middle: String,
    pub prefix: String,
    pub suffix: String,
}

impl NameGroup {
    fn parse(text: &str) -> Self {
        let mut parts = text.splitn(5, '^').map(|part| part.trim().to_owned());
        let mut next = || parts.next().unwrap_or_default();
        Self { family: next(), given: next(), middle: next(), prefix: next(), suffix: next() }
    }

    pub fn is_empty(&self) -> bool {
        self.parts().iter().all(|part| part.is_empty())
    }

    fn parts(&self) -> [&str; 5] {
        [&self.family, &self.given, &self.middle, &self.prefix, &self.suffix]
    }

    /// As people read it: `张三`, `San Zhang`.
    fn display(&self) -> String {
        if self.parts().iter().any(|part| part.chars().any(is_cjk)) {
            return [&*self.prefix, &*self.family, &*self.given, &*self.middle, &*self.suffix].concat();
        }
        let order = [&self.prefix, &self.given, &self.middle, &self.family, &self.suffix];
        order.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for NameGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        let used = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
        f.write_str(&parts.iter().take(used).copied().collect::<Vec<_>>().join("^"))
    }
}

/// A person name as DICOM holds it: `Zhang^San=张^三=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PersonName {
    pub alphabetic: NameGroup,
    pub ideographic: NameGroup,
    pub phonetic: NameGroup,
}

impl PersonName {
    /// Parses the value of one PN element (its first value, if several). A Chinese name alone in the first group,
    /// as many devices send it, is taken for the ideographic one.
    pub fn parse(text: &str) -> Self {
        let text = text.split('\\').next().unwrap_or_default().trim_end_matches(['\0', ' ']);
        let mut groups = text.splitn(3, '=').map(NameGroup::parse);
        let mut next = || groups.next().unwrap_or_default();
        let mut name = Self { alphabetic: next(), ideographic: next(), phonetic: next() };
        if name.ideographic.is_empty() && name.alphabetic.parts().iter().any(|part| part.chars().any(is_cjk)) {
            name.ideographic = std::mem::take(&mut name.alphabetic);
        }
        name
    }

    /// A name as a registrar types it: Chinese characters get a pinyin reading as alphabetic group, and family and
    /// given name are told apart. `latin`, when given, is `FAMILY^GIVEN` and takes precedence.
    pub fn of_person(name: &str, latin: Option<&str>) -> Self {
        let name = clean(name);
        let alphabetic = match latin.map(clean).filter(|text| !text.is_empty()) {
            Some(latin) => NameGroup::parse(&latin),
            None => NameGroup::parse(&crate::pinyin::name_latin(&name)),
        };
        let ideographic = if name.chars().any(is_cjk) {
            let (family, given) = crate::pinyin::split_name(&name);
            NameGroup { family, given, ..NameGroup::default() }
        } else {
            NameGroup::default()
        };
        Self { alphabetic, ideographic, phonetic: NameGroup::default() }
    }

    /// As people read it, the ideographic group before the others.
    pub fn display(&self) -> String {
        [&self.ideographic, &self.alphabetic, &self.phonetic]
            .into_iter()
            .find(|group| !group.is_empty())
            .map(NameGroup::display)
            .unwrap_or_default()
    }
}

impl fmt::Display for PersonName {
    /// The DICOM form, without trailing delimiters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}={}={}", self.alphabetic, self.ideographic, self.phonetic);
        f.write_str(text.trim_end_matches('='))
    }
}

/// Delimiters and control characters have no place inside a component.
fn clean(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control() && !matches!(c, '\\' | '=')).collect()
}

pub(crate) fn is_cjk(c: char) -> bool {
    matches!(u32::from(c), 0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff
        | 0x3040..=0x30ff | 0xac00..=0xd7af)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_components() {
        let name = PersonName::parse("Zhang^San=张^三=");
        assert_eq!(name.alphabetic.family, "Zhang");
        assert_eq!(name.ideographic.given, "三");
        assert_eq!(name.display(), "张三");
        assert_eq!(name.to_string(), "Zhang^San=张^三");
        assert_eq!(PersonName::parse("Doe^John^^Dr^Jr").display(), "Dr John Doe Jr");
        assert_eq!(PersonName::parse("张三").to_string(), "=张三");
        assert_eq!(PersonName::parse("").display(), "");
        assert_eq!(PersonName::parse("A^B\\C^D").to_string(), "A^B");
        assert_eq!(PersonName::parse("==ヤマダ^タロウ").display(), "ヤマダタロウ");
    }

    #[test]
    fn typed_names() {
        assert_eq!(PersonName::of_person("张三", None).to_string(), "ZHANG^SAN=张^三");
        assert_eq!(PersonName::of_person("欧阳娜娜", None).to_string(), "OUYANG^NANA=欧阳^娜娜");
        assert_eq!(PersonName::of_person("单雄信", Some("SHAN^XIONGXIN")).to_string(), "SHAN^XIONGXIN=单^雄信");
        assert_eq!(PersonName::of_person("John Smith", None).to_string(), "SMITH^JOHN");
    }
}
