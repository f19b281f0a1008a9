//! The modality worklist (PS3.4 Annex K): what is scheduled, arrived or going on, for whoever asks.

use crate::{ExamError, QueryWorklist, WorklistCode, WorklistItem, WorklistQuery, store};
use mingying_db::Db;
use mingying_kernel::{AeTitle, OrderId, PatientId, Permit};
use mingying_orders::{Order, Special};
use mingying_patients::{AlertKind, Patient};

/// The most that one query reads from the tables before names are matched.
const READ_AT_MOST: u32 = 2_000;

/// Items that match, earliest first. Exact keys are matched by index; names match any group or the romanised form,
/// without regard to case.
pub async fn query_worklist(
    db: &Db,
    permit: &Permit<QueryWorklist>,
    query: &WorklistQuery,
) -> Result<Vec<WorklistItem>, ExamError> {
    let scope = permit.scope();
    let org = mingying_patients::home_org(db, scope).await?;
    let zone = mingying_scheduling::facility_zone(db, org).await?;
    let instant = |wall: Option<jiff::civil::DateTime>, field| match wall {
        None => Ok(None),
        Some(wall) => zone
            .to_timestamp(wall)
            .map(|at| Some(mingying_kernel::Timestamp::from_micros(at.as_microsecond())))
            .map_err(|_| ExamError::Invalid { field }),
    };
    let (from, to) = (instant(query.from, "from")?, instant(query.to, "to")?);
    let limit = query.limit.unwrap_or(500).clamp(1, 1_000);
    let by_person = query.patient_name.is_some() || query.patient_id.is_some();
    let steps =
        store::steps(db, scope, query, from, to, if by_person { READ_AT_MOST } else { limit }).await?;
    let ids: Vec<OrderId> = steps.iter().map(|s| s.order).collect();
    let orders: Vec<Order> = mingying_orders::load_many(db, scope, &ids).await?;
    let people: Vec<PatientId> = orders.iter().map(|o| o.patient.id).collect();
    let patients: Vec<Patient> = mingying_patients::load_full(db, scope, &people).await?;
    let mut items = Vec::with_capacity(steps.len().min(limit as usize));
    for step in steps {
        if items.len() >= limit as usize {
            break;
        }
        let Some(order) = orders.iter().find(|o| o.id == step.order) else { continue };
        let Some(patient) = patients.iter().find(|p| p.id == order.patient.id) else { continue };
        let Ok(station_aet) = AeTitle::parse(&step.station_aet) else { continue };
        let identifier = patient.primary_identifier();
        let patient_id = identifier.map(|i| i.value.clone()).unwrap_or_default();
        if query.patient_id.as_deref().is_some_and(|p| !matches(p, &patient_id)) {
            continue;
        }
        if query.patient_name.as_deref().is_some_and(|p| !matches_name(p, patient)) {
            continue;
        }
        let texts = |kind| -> Vec<String> {
            patient.alerts.iter().filter(|a| a.kind == kind).map(|a| a.text.chars().take(64).collect()).collect()
        };
        let first = order.items.first();
        items.push(WorklistItem {
            order: order.id,
            org: order.org,
            patient: patient.id,
            patient_name: patient.name.clone(),
            patient_name_latin: patient.name_latin.clone(),
            patient_id,
            patient_id_issuer: identifier.map(|i| i.issuer.clone()).unwrap_or_default(),
            sex: patient.sex,
            birth_date: patient.birth_date,
            allergies: texts(AlertKind::Allergy),
            pregnant: order.special.contains(&Special::Pregnant)
                || patient.alerts.iter().any(|a| a.kind == AlertKind::Pregnancy),
            alerts: [AlertKind::Implant, AlertKind::Mdro, AlertKind::Egfr, AlertKind::Other]
                .into_iter()
                .flat_map(texts)
                .collect(),
            special: order.special.iter().map(ToString::to_string).collect(),
            accession: order.accession.clone(),
            study_uid: order.study_uid.clone(),
            procedure_id: step.procedure_id,
            procedure_description: order.title().0,
            procedure_code: first.map(|i| i.code.clone()).unwrap_or_default(),
            priority: order.priority,
            referring_physician: order.physician.clone(),
            requesting_department: order.department.clone(),
            reason: order.purpose.clone(),
            sps_id: step.sps_id,
            station_aet,
            station_name: step.station_name,
            modality: step.modality,
            start: step.start,
            start_local: step.start.to_jiff().to_zoned(zone.clone()).datetime(),
            description: step.description,
            location: step.location,
            items: order
                .items
                .iter()
                .map(|i| WorklistCode {
                    code: i.code.clone(),
                    meaning: i.name.clone(),
                    body_part: i.body_part.clone(),
                    side: i.side,
                })
                .collect(),
        });
    }
    Ok(items)
}

/// `*` any run, `?` any one (PS3.4 C.2.2.2.4), without regard to case.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.trim().to_lowercase().chars().collect();
    let text: Vec<char> = text.trim().to_lowercase().chars().collect();
    // Greedy with one point of return: linear in practice, never exponential.
    let (mut p, mut t, mut star, mut from) = (0, 0, None, 0);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some(p);
                from = t;
                p += 1;
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some(at) => {
                    p = at + 1;
                    from += 1;
                    t = from;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// A PN pattern against the written and the romanised name; separators of components are not compared.
fn matches_name(pattern: &str, patient: &Patient) -> bool {
    let bare = |text: &str| text.chars().filter(|c| !matches!(c, '^' | ' ')).collect::<String>();
    pattern.split('=').filter(|group| !group.trim().is_empty()).any(|group| {
        let group = bare(group);
        matches(&group, &bare(&patient.name)) || matches(&group, &bare(&patient.name_latin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wildcards() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("P*", "p100", true),
            ("P?00", "P100", true),
            ("P?00", "P1100", false),
            ("*1*0", "P1x0", true),
            ("", "", true),
            ("", "x", false),
            ("张*", "张三", true),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_of_stars_is_quick_and_right(stars in "[*a]{0,40}", text in "a{0,200}b?") {
            let needed = stars.chars().filter(|c| *c == 'a').count();
            let found = matches(&stars, &text);
            if found {
                prop_assert!(text.chars().filter(|c| *c == 'a').count() >= needed);
            }
        }
    }
}
