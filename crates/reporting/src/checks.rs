//! Basic checks before signing (`domain.md` section 4, Report QC). Identity and missing sections block; everything else
//! can be overridden with a written reason.

use crate::Text;
use mingying_orders::Side;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A section without text.
    Empty { section: &'static str },
    /// The order names one side, the section only the other one.
    Side { section: &'static str, ordered: Side },
    /// Findings and impression each name one side, and not the same.
    SidesDiffer,
    /// A place of the template that nobody filled in.
    Placeholder { section: &'static str },
}

impl Check {
    /// Stable; what clients translate.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "empty",
            Self::Side { .. } => "side",
            Self::SidesDiffer => "sides_differ",
            Self::Placeholder { .. } => "placeholder",
        }
    }

    /// Where it was found.
    pub const fn section(&self) -> &'static str {
        match self {
            Self::Empty { section } | Self::Side { section, .. } | Self::Placeholder { section } => section,
            Self::SidesDiffer => "impression",
        }
    }

    /// No reason can override it.
    pub const fn is_blocking(&self) -> bool {
        matches!(self, Self::Empty { .. })
    }
}

/// Runs all checks. `ordered` are the sides of the order's items; items without a side are left out.
pub fn check(text: &Text, ordered: &[Side]) -> Vec<Check> {
    let mut found = Vec::new();
    for (section, value) in [("findings", &text.findings), ("impression", &text.impression)] {
        if value.trim().is_empty() {
            found.push(Check::Empty { section });
        }
    }
    let findings = Mentioned::of(&text.findings);
    let impression = Mentioned::of(&text.impression);
    if let Some(only) = one_side(ordered) {
        for (section, mentioned) in [("findings", findings), ("impression", impression)] {
            if mentioned.only_opposite_of(only) {
                found.push(Check::Side { section, ordered: only });
            }
        }
    }
    if findings.only() && impression.only() && findings.left != impression.left {
        found.push(Check::SidesDiffer);
    }
    for (section, value) in [("findings", &text.findings), ("impression", &text.impression), ("advice", &text.advice)] {
        if has_placeholder(value) {
            found.push(Check::Placeholder { section });
        }
    }
    found
}

/// The side that the whole order is about, if it is one.
fn one_side(ordered: &[Side]) -> Option<Side> {
    let first = ordered.first()?;
    (*first != Side::Both && ordered.iter().all(|side| side == first)).then_some(*first)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mentioned {
    left: bool,
    right: bool,
}

impl Mentioned {
    fn of(text: &str) -> Self {
        // Directions and measures of both sides name no side: 左右径, 左右对称.
        let text = text.replace("左右", "").replace("右左", "");
        let lower = text.to_lowercase();
        let word = |wanted: &str| lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == wanted);
        Self { left: text.contains('左') || word("left"), right: text.contains('右') || word("right") }
    }

    fn only(self) -> bool {
        self.left != self.right
    }

    fn only_opposite_of(self, side: Side) -> bool {
        match side {
            Side::Left => self.right && !self.left,
            Side::Right => self.left && !self.right,
            Side::Both => false,
        }
    }
}

/// Placeholders of our templates: `{大小}`, `____`, `××`, and what others use in their place.
fn has_placeholder(text: &str) -> bool {
    let braces = text.find('{').is_some_and(|open| text.get(open..).is_some_and(|rest| rest.contains('}')));
    braces || ["__", "＿＿", "××", "XX", "□□"].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(findings: &str, impression: &str) -> Text {
        Text { findings: findings.into(), impression: impression.into(), advice: String::new() }
    }

    fn codes(text: &Text, ordered: &[Side]) -> Vec<&'static str> {
        check(text, ordered).iter().map(Check::code).collect()
    }

    #[test]
    fn a_missing_section_blocks() {
        let found = check(&text("左膝未见异常", "  \n"), &[]);
        assert_eq!(found, [Check::Empty { section: "impression" }]);
        assert!(found[0].is_blocking());
    }

    /// `domain.md` scenario 3: order "left knee", the resident writes 右膝.
    #[test]
    fn the_wrong_side_is_found() {
        let wrong = text("右膝关节骨质未见异常。", "右膝未见异常。");
        assert_eq!(codes(&wrong, &[Side::Left]), ["side", "side"]);
        assert_eq!(codes(&wrong, &[Side::Right]), [] as [&str; 0]);
        assert_eq!(codes(&wrong, &[Side::Both]), [] as [&str; 0]);
        assert_eq!(codes(&wrong, &[Side::Left, Side::Right]), [] as [&str; 0]);
        assert_eq!(codes(&text("左膝髌上囊积液。", "右膝积液。"), &[]), ["sides_differ"]);
        assert_eq!(codes(&text("The left knee.", "Right knee effusion."), &[Side::Left]), ["side", "sides_differ"]);
    }

    #[test]
    fn measures_and_comparisons_name_no_side() {
        assert_eq!(
            codes(&text("左肺下叶结节，左右径约 8 mm，右肺清晰。", "左肺下叶结节。"), &[Side::Left]),
            [] as [&str; 0]
        );
        assert_eq!(codes(&text("左右径约 8 mm，bright, leftover", "未见异常"), &[Side::Left]), [] as [&str; 0]);
    }

    #[test]
    fn unfilled_template_places_are_found() {
        for bad in ["肝右叶见大小约 {大小} 的灶", "大小约 ____ mm", "直径 ×× mm"] {
            assert_eq!(codes(&text(bad, "占位"), &[]), ["placeholder"], "{bad}");
        }
        assert_eq!(codes(&text("23 mm × 19 mm", "未见异常 } {"), &[]), [] as [&str; 0]);
    }
}
