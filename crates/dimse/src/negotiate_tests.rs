use super::*;
use crate::ul::{ProposedContext, UserInformation};
use mingying_kernel::AeTitle;

fn settings() -> Settings {
    let mut settings = Settings::new(AeTitle::parse("MINGYING").unwrap());
    settings.private_storage_classes = vec!["1.2.3.4".to_owned(), "1.2.9.".to_owned()];
    settings
}

fn request(contexts: &[(&str, &[&str])]) -> AssociateRq {
    AssociateRq {
        protocol_version: 1,
        called: "MINGYING".to_owned(),
        calling: "CT01".to_owned(),
        application_context: ul_uids::APPLICATION_CONTEXT.to_owned(),
        contexts: contexts
            .iter()
            .zip((1u8..).step_by(2))
            .map(|((class, syntaxes), id)| ProposedContext {
                id,
                abstract_syntax: (*class).to_owned(),
                transfer_syntaxes: syntaxes.iter().map(|s| (*s).to_owned()).collect(),
            })
            .collect(),
        user: UserInformation::default(),
    }
}

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const BIG: &str = "1.2.840.10008.1.2.2";

#[test]
fn titles_and_versions_are_checked() {
    let rq = request(&[]);
    assert_eq!(check_request(&rq, &settings()), Ok(()));
    let other = AssociateRq { called: "ORTHANC".to_owned(), ..rq.clone() };
    assert_eq!(check_request(&other, &settings()), Err(Reject::CalledAeNotRecognized));
    let mut lenient = settings();
    lenient.further_titles.push(AeTitle::parse("ORTHANC").unwrap());
    assert_eq!(check_request(&other, &lenient), Ok(()));
    let old = AssociateRq { protocol_version: 2, ..rq.clone() };
    assert_eq!(check_request(&old, &settings()), Err(Reject::ProtocolVersionNotSupported));
    let foreign = AssociateRq { application_context: "1.2.3".to_owned(), ..rq };
    assert_eq!(check_request(&foreign, &settings()), Err(Reject::ApplicationContextNotSupported));
}

#[test]
fn storage_takes_what_is_proposed_first() {
    let rq =
        request(&[(CT, &[JPEG_LS, uids::EXPLICIT_LITTLE]), (CT, &[uids::IMPLICIT_LITTLE, JPEG_LS]), (CT, &["9.9.9"])]);
    let (AssociateAc { contexts: results, .. }, accepted) = answer(&rq, &PeerRules::default(), &settings());
    let syntaxes: Vec<&str> = results.iter().map(|r| r.transfer_syntax.as_str()).collect();
    assert_eq!(syntaxes, [JPEG_LS, uids::IMPLICIT_LITTLE, "9.9.9"]);
    assert!(results.iter().all(|r| r.outcome == ContextOutcome::Accepted));
    assert_eq!(accepted.len(), 3);
}

#[test]
fn messages_need_little_endian() {
    let rq = request(&[
        (uids::STUDY_ROOT_FIND, &[BIG, uids::EXPLICIT_LITTLE, uids::IMPLICIT_LITTLE]),
        (uids::WORKLIST_FIND, &[BIG]),
        (uids::PERFORMED_STEP, &[uids::IMPLICIT_LITTLE]),
    ]);
    let (AssociateAc { contexts: results, .. }, accepted) = answer(&rq, &PeerRules::default(), &settings());
    assert_eq!(results[0].transfer_syntax, uids::EXPLICIT_LITTLE);
    assert_eq!(results[1].outcome, ContextOutcome::TransferSyntaxesNotSupported);
    assert_eq!(accepted.get(&5).map(|c| c.service), Some(Service::PerformedStep));
    assert!(!accepted.contains_key(&3));
}

#[test]
fn services_are_known_by_class() {
    let service = |uid: &str| Service::of(uid, &settings());
    assert_eq!(service(uids::VERIFICATION), Some(Service::Verification));
    assert_eq!(service(CT), Some(Service::Storage));
    assert_eq!(service("1.2.840.10008.5.1.4.1.1.9999"), Some(Service::Storage), "classes of the future");
    assert_eq!(service("1.2.3.4"), Some(Service::Storage));
    assert_eq!(service("1.2.9.5"), Some(Service::Storage));
    assert_eq!(service("1.2.3.4.5"), None);
    assert_eq!(service("1.2.840.113619.4.30"), Some(Service::Storage), "GE private");
    assert_eq!(service("1.2.840.10008.5.1.1.9"), None, "Print");
    assert_eq!(service("1.2.840.10008.5.1.4.1.2.2.3"), Some(Service::Get(Root::Study)));
    assert_eq!(service("1.2.840.10008.5.1.4.1.2.3.1"), None, "Patient/Study Only, retired");
}

#[test]
fn the_window_is_bounded() {
    let with = |operations| window(&UserInformation { operations, ..UserInformation::default() });
    assert_eq!(with(None), 1);
    assert_eq!(with(Some((1, 1))), 1);
    assert_eq!(with(Some((4, 1))), 4);
    assert_eq!(with(Some((0, 0))), MAX_WINDOW);
    assert_eq!(with(Some((5000, 1))), MAX_WINDOW);
}

#[test]
fn roles_are_granted_where_objects_can_be_sent() {
    let mut rq = request(&[
        (uids::STUDY_ROOT_GET, &[uids::EXPLICIT_LITTLE]),
        (CT, &[JPEG_LS, uids::IMPLICIT_LITTLE, uids::EXPLICIT_LITTLE]),
        (CT, &[JPEG_LS]),
        (uids::STUDY_ROOT_FIND, &[uids::EXPLICIT_LITTLE]),
    ]);
    let role = |class: &str, scu, scp| Role { sop_class: class.to_owned(), scu, scp };
    rq.user.roles = vec![role(CT, false, true), role(uids::STUDY_ROOT_FIND, true, true), role("9.9", true, true)];
    let (ac, accepted) = answer(&rq, &PeerRules::default(), &settings());
    assert_eq!(ac.user.roles, [role(CT, false, true), role(uids::STUDY_ROOT_FIND, true, false)]);
    let of =
        |id: u8| accepted.get(&id).map(|c| (c.transfer_syntax.as_str(), c.caller_is_scu, c.caller_is_scp)).unwrap();
    assert_eq!(of(1), (uids::EXPLICIT_LITTLE, true, false));
    assert_eq!(of(3), (uids::IMPLICIT_LITTLE, false, true), "what everything can be sent in");
    assert_eq!(of(5), (JPEG_LS, false, true), "and what is stored so goes untouched");
}

#[test]
fn extended_negotiation_is_answered_byte_by_byte() {
    let plain: &[&str] = &[uids::EXPLICIT_LITTLE];
    let mut rq = request(&[(uids::STUDY_ROOT_GET, plain), (uids::STUDY_ROOT_FIND, plain), (CT, plain)]);
    let offer = |class: &str, bytes: &[u8]| Extended { sop_class: class.to_owned(), bytes: bytes.to_vec() };
    rq.user.extended = vec![
        offer(uids::STUDY_ROOT_GET, &[1, 1, 0]),
        offer(uids::STUDY_ROOT_FIND, &[0, 1, 1, 1, 1]),
        offer(CT, &[1]),
        offer("9.9", &[1]),
    ];
    let (ac, contexts) = answer(&rq, &PeerRules::default(), &settings());
    let granted = [offer(uids::STUDY_ROOT_GET, &[1, 0, 0]), offer(uids::STUDY_ROOT_FIND, &[0, 1, 1, 0, 0])];
    assert_eq!(ac.user.extended, granted);
    let matching = |id: u8| contexts.get(&id).map(|context| context.matching);
    assert_eq!(matching(3), Some(Matching { combined_date_time: true, fuzzy_names: true }));
    assert_eq!(matching(1), Some(Matching::default()));
    rq.user.extended = vec![offer(uids::STUDY_ROOT_FIND, &[1])];
    let (_, contexts) = answer(&rq, &PeerRules::default(), &settings());
    assert_eq!(contexts.get(&3).map(|context| context.matching), Some(Matching::default()));
}

#[test]
fn what_the_register_does_not_allow_is_refused() {
    let plain: &[&str] = &[uids::EXPLICIT_LITTLE];
    let classes = [uids::VERIFICATION, CT, uids::STUDY_ROOT_FIND, uids::STUDY_ROOT_GET, uids::WORKLIST_FIND];
    let mut rq = request(&classes.map(|class| (class, plain)));
    let open = |rq: &AssociateRq, services: &str| {
        let (ac, accepted) = answer(rq, &PeerRules::parse(services, None).unwrap(), &settings());
        assert!(ac.contexts.iter().all(|c| (c.outcome == ContextOutcome::Accepted) == accepted.contains_key(&c.id)));
        let mut ids: Vec<u8> = accepted.keys().copied().collect();
        ids.sort_unstable();
        (ids, accepted.get(&3).map(|context| (context.caller_is_scu, context.caller_is_scp)))
    };
    assert_eq!(open(&rq, "").0, [1, 3, 5, 7, 9]);
    assert_eq!(open(&rq, "store,worklist"), (vec![1, 3, 9], Some((true, false))));
    assert_eq!(open(&rq, "find retrieve"), (vec![1, 5, 7], None), "it may not store");
    rq.user.roles = vec![Role { sop_class: CT.to_owned(), scu: true, scp: true }];
    assert_eq!(open(&rq, "retrieve"), (vec![1, 3, 7], Some((false, true))), "but take what it retrieves");
    assert_eq!(open(&rq, "store"), (vec![1, 3], Some((true, false))));
    assert!(PeerRules::parse("storage", None).is_err());
    assert!(PeerRules::parse("", Some(0)).is_err());
}
