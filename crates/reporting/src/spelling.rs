//! How a phrase is found by typing: its name in pinyin, syllable by syllable.

use pinyin::ToPinyin;

/// Characters that are read otherwise in radiology than most often elsewhere.
const READINGS: &[(char, &str)] =
    &[('长', "chang"), ('重', "zhong"), ('单', "dan"), ('血', "xue"), ('壳', "qiao"), ('降', "jiang")];

/// `右肺结节CT` gives `you fei jie jie ct`: a syllable for each Chinese character, Latin words and numbers as they are,
/// everything else left out. `ü` is written `v`, as input methods do.
pub(crate) fn spelled(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in name.chars() {
        let reading = READINGS.iter().find(|(han, _)| *han == c).map(|(_, reading)| (*reading).to_owned());
        if let Some(syllable) = reading.or_else(|| c.to_pinyin().map(|p| p.plain().replace('ü', "v"))) {
            words.push(syllable);
            open = false;
        } else if c.is_alphanumeric() {
            let letter = c.to_lowercase();
            match words.last_mut().filter(|_| open) {
                Some(word) => word.extend(letter),
                None => words.push(letter.collect()),
            }
            open = true;
        } else {
            open = false;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::spelled;

    #[test]
    fn names_are_spelled_as_people_type_them() {
        assert_eq!(spelled("右肺结节"), "you fei jie jie");
        assert_eq!(spelled("胸部CT平扫 2"), "xiong bu ct ping sao 2");
        assert_eq!(spelled("单发，长径"), "dan fa chang jing");
        assert_eq!(spelled("Lung nodule"), "lung nodule");
        assert_eq!(spelled("绿"), "lv");
    }
}
