//! The modality worklist (PS3.4 Annex K).

use crate::{ExamError, QueryWorklist, WorklistItem, WorklistQuery, store};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mingying_db::Db;
use mingying_kernel::{Permit, Timestamp};
use std::collections::HashMap;

/// What stands in the worklist: scheduled steps of exams that have not begun, the earliest first.
pub async fn query_worklist(
    db: &Db,
    permit: &Permit<QueryWorklist>,
    query: &WorklistQuery,
) -> Result<Vec<WorklistItem>, ExamError> {
    let mut zones = HashMap::new();
    for org in store::worklist_orgs(db, permit.scope()).await? {
        zones.insert(org, mingying_scheduling::facility_zone(db, org).await?);
    }
    // Organizations on different clocks: the widest range that any of them gives, narrowed again below.
    let bound = |at: Option<DateTime>, pick: fn(Timestamp, Timestamp) -> Timestamp| {
        at.and_then(|at| zones.values().filter_map(|zone| instant(at, zone)).reduce(pick))
    };
    let (from, to) = (bound(query.from, Ord::min), bound(query.to, Ord::max));
    let mut items = store::worklist(db, permit.scope(), query, from, to, &mut zones).await?;
    items.retain(|item| {
        query.from.is_none_or(|from| item.start_local >= from) && query.to.is_none_or(|to| item.start_local <= to)
    });
    if let Some(pattern) = wanted(query.patient_name.as_deref()) {
        items.retain(|item| {
            matches_name(&pattern, &item.patient_name) || matches_name(&pattern, &item.patient_name_latin)
        });
    }
    let patients: Vec<String> = items.iter().map(|item| item.patient.to_string()).collect();
    let numbers = store::primary_identifiers(db, &patients).await?;
    for item in &mut items {
        if let Some((value, issuer)) = numbers.get(&item.patient.to_string()) {
            item.patient_id.clone_from(value);
            item.patient_id_issuer.clone_from(issuer);
        }
    }
    if let Some(pattern) = wanted(query.patient_id.as_deref()) {
        items.retain(|item| matches(&pattern, &item.patient_id));
    }
    items.truncate(query.limit.unwrap_or(500).clamp(1, 5000) as usize);
    Ok(items)
}

fn instant(at: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let zoned = zone.to_ambiguous_zoned(at).compatible().ok()?;
    Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

fn wanted(pattern: Option<&str>) -> Option<String> {
    pattern.map(str::trim).filter(|p| !p.is_empty() && *p != "*").map(str::to_owned)
}

/// Patient names compare without case, and without telling component delimiters from spaces: what is registered as
/// `Zhang San` answers to `ZHANG^SAN` and to `zhang*`. Any component group of the pattern may match.
fn matches_name(pattern: &str, name: &str) -> bool {
    let tidy = |text: &str| text.to_lowercase().replace('^', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let name = tidy(name);
    pattern.split('=').any(|group| {
        let group = tidy(group);
        !group.is_empty() && (matches(&group, &name) || matches(&group.replace(' ', ""), &name.replace(' ', "")))
    })
}

/// PS3.4 C.2.2.2.4: `*` is any sequence, `?` any one character. Linear in practice and without recursion, so that no
/// pattern can exhaust anything.
fn matches(pattern: &str, text: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut pi, mut ti) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while ti < t.len() {
        match p.get(pi) {
            Some('*') => {
                star = Some((pi, ti));
                pi += 1;
            }
            Some(c) if *c == '?' || Some(c) == t.get(ti) => {
                pi += 1;
                ti += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    pi = at + 1;
                    ti = from + 1;
                }
                None => return false,
            },
        }
    }
    p.get(pi..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards_follow_c_2_2_2_4() {
        for (pattern, text, hit) in [
            ("P0001", "P0001", true),
            ("P0001", "P00012", false),
            ("P*", "P0001", true),
            ("*01", "P0001", true),
            ("P?001", "P0001", true),
            ("?", "", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
        ] {
            assert_eq!(matches(pattern, text), hit, "{pattern} {text}");
        }
        assert!(matches_name("ZHANG^SAN", "Zhang San"));
        assert!(matches_name("zhang*", "Zhang San"));
        assert!(matches_name("Zhang^San=张^三", "张三"));
        assert!(!matches_name("Li*", "Zhang San"));
    }

    proptest! {
        #[test]
        fn matching_ends_and_a_text_matches_itself(pattern in "[a*?]{0,30}", text in "[ab]{0,60}") {
            let _ = matches(&pattern, &text);
            prop_assert!(matches(&text, &text));
            let surrounded = format!("*{text}*");
            prop_assert!(matches(&surrounded, &text));
        }
    }
}
