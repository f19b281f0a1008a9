use super::super::{Extended, Role};
use super::*;
use dicom_ul::pdu::{Pdu, UserVariableItem};
use proptest::prelude::*;

const BODY: usize = 6;

fn request() -> AssociateRq {
    AssociateRq {
        protocol_version: 1,
        called: "MINGYING".to_owned(),
        calling: "CT01".to_owned(),
        application_context: uids::APPLICATION_CONTEXT.to_owned(),
        contexts: vec![
            ProposedContext {
                id: 1,
                abstract_syntax: "1.2.840.10008.1.1".to_owned(),
                transfer_syntaxes: vec!["1.2.840.10008.1.2".to_owned()],
            },
            ProposedContext {
                id: 3,
                abstract_syntax: "1.2.840.10008.5.1.4.1.1.2".to_owned(),
                transfer_syntaxes: vec!["1.2.840.10008.1.2.4.80".to_owned(), "1.2.840.10008.1.2.1".to_owned()],
            },
        ],
        user: UserInformation {
            max_pdu: 16384,
            operations: Some((4, 1)),
            roles: vec![Role { sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(), scu: false, scp: true }],
            extended: vec![Extended { sop_class: "1.2.840.10008.5.1.4.1.2.2.1".to_owned(), bytes: vec![1, 1, 1] }],
        },
    }
}

fn refused(body: &[u8]) -> bool {
    matches!(parse_rq(body), Err(LinkError::Fault(Fault::InvalidParameter)))
}

#[test]
fn a_request_reads_as_written() {
    let rq = request();
    assert_eq!(parse_rq(&encode_rq(&rq, 16384)[BODY..]).unwrap(), rq);
}

#[test]
fn an_answer_reads_as_written() {
    let ac = AssociateAc {
        called: "MINGYING".to_owned(),
        calling: "CT01".to_owned(),
        contexts: vec![
            ContextResult { id: 1, outcome: ContextOutcome::Accepted, transfer_syntax: "1.2.840.10008.1.2".to_owned() },
            ContextResult {
                id: 3,
                outcome: ContextOutcome::AbstractSyntaxNotSupported,
                transfer_syntax: String::new(),
            },
            ContextResult { id: 5, outcome: ContextOutcome::Refused, transfer_syntax: String::new() },
        ],
        user: UserInformation {
            max_pdu: 131_072,
            roles: vec![Role { sop_class: "1.2.840.10008.5.1.4.1.1.2".to_owned(), scu: true, scp: false }],
            ..UserInformation::default()
        },
    };
    assert_eq!(parse_ac(&encode_ac(&ac, 131_072)[BODY..]).unwrap(), ac);
}

#[test]
fn dicom_ul_reads_what_we_write() {
    let rq = request();
    let bytes = encode_rq(&rq, 131_072);
    let Some(Pdu::AssociationRQ(read)) = dicom_ul::read_pdu(&bytes[..], 1 << 20, true).unwrap() else { panic!() };
    assert_eq!((read.called_ae_title.as_str(), read.calling_ae_title.as_str()), ("MINGYING", "CT01"));
    assert_eq!(read.presentation_contexts.len(), 2);
    assert_eq!(read.presentation_contexts[1].transfer_syntaxes, rq.contexts[1].transfer_syntaxes);
    assert!(read.user_variables.contains(&UserVariableItem::MaxLength(131_072)));
    let class = "1.2.840.10008.5.1.4.1.2.2.1".to_owned();
    assert!(read.user_variables.contains(&UserVariableItem::SopClassExtendedNegotiationSubItem(class, vec![1, 1, 1])));
    for (reject, codes) in [
        (Reject::CalledAeNotRecognized, [1, 1, 7]),
        (Reject::CallingAeNotRecognized, [1, 1, 3]),
        (Reject::LocalLimitExceeded, [2, 3, 2]),
    ] {
        let bytes = encode_rj(reject);
        assert_eq!(bytes[7..10], codes);
        assert!(matches!(dicom_ul::read_pdu(&bytes[..], 1 << 20, true), Ok(Some(Pdu::AssociationRJ(_)))));
        assert_eq!(Reject::from_codes(codes[1], codes[2]), reject);
    }
}

#[test]
fn we_read_what_dicom_ul_writes() {
    let bytes = encode_rq(&request(), 16384);
    let pdu = dicom_ul::read_pdu(&bytes[..], 1 << 20, true).unwrap().unwrap();
    let mut again = Vec::new();
    dicom_ul::write_pdu(&mut again, &pdu).unwrap();
    assert_eq!(parse_rq(&again[BODY..]).unwrap(), request());
}

#[test]
fn malformed_requests_are_faults() {
    let whole = encode_rq(&request(), 0);
    for cut in 0..whole.len() - BODY {
        // A request cut between two items is whole again, but for what was cut off.
        if let Ok(rq) = parse_rq(&whole[BODY..BODY + cut]) {
            assert!(!rq.contexts.is_empty());
        }
    }
    let none = AssociateRq { contexts: Vec::new(), ..request() };
    assert!(refused(&encode_rq(&none, 0)[BODY..]), "no presentation context");
    let mut even = request();
    even.contexts[0].id = 2;
    assert!(refused(&encode_rq(&even, 0)[BODY..]), "even context id");
    let mut twice = request();
    twice.contexts[0].id = 3;
    assert!(refused(&encode_rq(&twice, 0)[BODY..]), "context id used twice");
    let mut empty = request();
    empty.contexts[0].transfer_syntaxes.clear();
    assert!(refused(&encode_rq(&empty, 0)[BODY..]), "no transfer syntax");
    let mut text = request();
    text.contexts[0].abstract_syntax = "hello".to_owned();
    assert!(refused(&encode_rq(&text, 0)[BODY..]), "not a UID");
    let nameless = AssociateRq { application_context: String::new(), ..request() };
    assert!(refused(&encode_rq(&nameless, 0)[BODY..]), "no application context");
}

/// PS3.8 9.3.1: items that are not known are passed over. `dicom-ul` refuses them.
#[test]
fn unknown_items_are_passed_over() {
    let mut bytes = encode_rq(&request(), 16384);
    put(&mut bytes, 0x77, b"whatever");
    assert_eq!(parse_rq(&bytes[BODY..]).unwrap(), request());
}

/// Some SCPs answer a rejected context without a transfer syntax item. `dicom-ul` refuses the whole answer.
#[test]
fn rejected_contexts_need_no_transfer_syntax() {
    let mut body = fixed("A", "B");
    put(&mut body, item::CONTEXT_RESULT, &[1, 0, 3, 0]);
    let ac = parse_ac(&body).unwrap();
    assert_eq!(ac.contexts[0].outcome, ContextOutcome::AbstractSyntaxNotSupported);
    put(&mut body, item::CONTEXT_RESULT, &[3, 0, 0, 0]);
    assert!(parse_ac(&body).is_err(), "an accepted one does");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_rq(&bytes);
        let _ = parse_ac(&bytes);
        let mut framed = fixed("A", "B");
        framed.extend_from_slice(&bytes);
        let _ = parse_rq(&framed);
        let _ = parse_ac(&framed);
    }

    #[test]
    fn one_changed_byte_is_read_without_panic(at in 0usize..200, byte in any::<u8>()) {
        let mut bytes = encode_rq(&request(), 16384);
        if let Some(changed) = bytes.get_mut(BODY + at) {
            *changed = byte;
        }
        let _ = parse_rq(&bytes[BODY..]);
    }
}
