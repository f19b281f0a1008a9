//! Storage Commitment, push model (PS3.4 annex J): a modality hands over the responsibility for its objects.
//!
//! A request is written down before it is accepted, and told of by an event. The report goes over the association of
//! the request where the caller waits there for it; else the delivery of the event opens one to the caller, again and
//! again until it is taken or a person looks: a restart loses none.

mod deliver;
mod store;

pub use deliver::ReportCommitments;

use crate::command::{Command, Response, event_report};
use crate::dataset::{DataSet, Encoding};
use crate::negotiate::Context;
use crate::session::Session;
use crate::ul::LinkError;
use crate::{status, uids};
use dicom_dictionary_std::tags;
use mingying_archive::{Archive, ArchiveError, InstanceRef, Level, Query, ReadStudies};
use mingying_db::Db;
use mingying_events::About;
use mingying_events::payload::peers::CommitmentRequested;
use mingying_kernel::{AeTitle, Coded, DicomUid, Permit};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::timeout;

/// Action type of a request (PS3.4 J.3.2.1).
const REQUEST: u16 = 1;
/// Objects looked for in the index at a time.
const LOOKED_FOR: usize = 500;
/// After its report a transaction is remembered for so long: its UID may not come again for other objects.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// Failure reasons (PS3.3 C.14.1.1).
pub(crate) mod reason {
    pub(crate) const PROCESSING_FAILURE: u16 = 0x0110;
    pub(crate) const NO_SUCH_OBJECT: u16 = 0x0112;
    pub(crate) const CLASS_CONFLICT: u16 = 0x0119;
    pub(crate) const DUPLICATE_TRANSACTION: u16 = 0x0131;
}

/// SOP class and instance, as the caller named them.
type Object = (String, String);

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commitment {
    pub(crate) id: String,
    pub(crate) aet: String,
    pub(crate) transaction_uid: String,
    pub(crate) objects: Vec<Object>,
    /// Failure reasons by index in `objects`; `None` until they were looked at.
    pub(crate) failures: Option<BTreeMap<usize, u16>>,
    pub(crate) held_until: mingying_kernel::Timestamp,
    pub(crate) reported: bool,
}

type Refusal = (u16, &'static str);

/// N-ACTION, and the report where the caller waits for it.
pub(crate) async fn answer(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    request: &Command,
    attributes: Option<DataSet>,
) -> Result<(), LinkError> {
    let mut response = Response::to(request, status::SUCCESS);
    let asked = match ask(session, request, attributes).await {
        Ok(asked) => asked,
        Err((status, comment)) => {
            (response.status, response.comment) = (status, comment);
            return session.respond(context, &response, None).await;
        }
    };
    session.respond(context, &response, None).await?;
    let (id, permit) = asked;
    // A caller that goes on or takes its leave is told over an association of our own.
    let told = match timeout(session.shared.settings.commitment_pause, session.link.arrived()).await {
        Ok(arrived) => arrived.map(|()| false),
        Err(_) => tell(session, context, accepted, &id, &permit).await,
    };
    let db = &session.shared.db;
    let noted = match &told {
        Ok(true) => store::set_reported(db, &id, session.caller.ctx.now()).await,
        _ => store::release(db, &id).await,
    };
    if let Err(error) = noted {
        // The delivery waits until the hold is over, and a report that comes twice does no harm.
        tracing::warn!(%error, "the state of a storage commitment is not written");
    }
    told.map(drop)
}

/// Writes a request down.
async fn ask(
    session: &Session<'_>,
    request: &Command,
    attributes: Option<DataSet>,
) -> Result<(String, Permit<ReadStudies>), Refusal> {
    if request.sop_instance != uids::COMMITMENT_INSTANCE {
        return Err((status::NO_SUCH_INSTANCE, "dimse.sop_instance"));
    }
    if request.action_type != REQUEST {
        return Err((status::NO_SUCH_ACTION, "dimse.action"));
    }
    let attributes = attributes.ok_or((status::PROCESSING_FAILURE, "dimse.attributes"))?;
    let transaction = attributes.text(tags::TRANSACTION_UID);
    if transaction.is_empty() {
        return Err((status::MISSING_ATTRIBUTE, "dimse.transaction"));
    }
    DicomUid::parse_lenient(transaction).map_err(|_| (status::INVALID_ATTRIBUTE_VALUE, "dimse.transaction"))?;
    let items = attributes.items(tags::REFERENCED_SOP_SEQUENCE);
    let objects: Vec<Object> = items
        .iter()
        .map(|item| {
            let text = |tag| item.text(tag).to_owned();
            (text(tags::REFERENCED_SOP_CLASS_UID), text(tags::REFERENCED_SOP_INSTANCE_UID))
        })
        .collect();
    if objects.is_empty() || objects.iter().any(|(class, uid)| class.is_empty() || uid.is_empty()) {
        return Err((status::MISSING_ATTRIBUTE, "dimse.objects"));
    }
    let permit = session.permit::<ReadStudies>().map_err(|status| (status, "dimse.not_authorized"))?;
    let id = uuid::Uuid::now_v7().to_string();
    let settings = &session.shared.settings;
    let now = session.caller.ctx.now();
    let written = async {
        let mut tx = session.shared.db.begin().await?;
        let commitment = Commitment {
            id: id.clone(),
            aet: session.caller.aet.clone(),
            transaction_uid: transaction.to_owned(),
            objects,
            failures: None,
            held_until: now.plus(settings.commitment_pause + settings.stall),
            reported: false,
        };
        store::forget_before(&mut tx, now.minus(REMEMBERED)).await?;
        store::insert(&mut tx, &commitment, now).await?;
        let payload = CommitmentRequested {
            aet: commitment.aet.clone(),
            transaction_uid: commitment.transaction_uid.clone(),
            objects: u32::try_from(commitment.objects.len()).unwrap_or(u32::MAX),
        };
        let about = About::new("commitment", &id, crate::peers::org_of(&session.caller.ctx));
        mingying_access::record(&mut tx, &permit, &about, &payload).await?;
        tx.commit().await
    };
    written.await.map_err(|error: mingying_db::DbError| {
        tracing::warn!(%error, "a storage commitment is not written down");
        (status::RESOURCE_LIMITATION, error.code())
    })?;
    Ok((id, permit))
}

/// Sends the report over the association of the request; false when it cannot be made just now.
async fn tell(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    id: &str,
    permit: &Permit<ReadStudies>,
) -> Result<bool, LinkError> {
    let shared = session.shared.clone();
    let commitment = match examine(&shared.db, &shared.archive, permit, id).await {
        Ok(Some(commitment)) => commitment,
        Ok(None) => return Ok(true),
        Err(error) => {
            tracing::warn!(code = error.code(), %error, "a storage commitment waits");
            return Ok(false);
        }
    };
    let encoding = Encoding::of(&accepted.transfer_syntax).unwrap_or(Encoding::ImplicitLittle);
    let (event, report) = report(&commitment, &shared.settings.ae_title);
    let message = session.message_id();
    let data = report.encode(encoding, &session.caller.charset);
    let command = event_report(message, uids::COMMITMENT, uids::COMMITMENT_INSTANCE, event);
    session.link.send_message(context, &command, Some(&data)).await?;
    let status = session.event_response(message).await?;
    Ok(status == status::SUCCESS || status::is_warning(status))
}

/// A commitment that is still to be reported, its objects looked at.
async fn examine(
    db: &Db,
    archive: &Archive,
    permit: &Permit<ReadStudies>,
    id: &str,
) -> Result<Option<Commitment>, ArchiveError> {
    let Some(mut commitment) = store::load(db, id).await?.filter(|commitment| !commitment.reported) else {
        return Ok(None);
    };
    if commitment.failures.is_none() {
        let failures = if store::used_for_others(db, &commitment).await? {
            (0..commitment.objects.len()).map(|at| (at, reason::DUPLICATE_TRANSACTION)).collect()
        } else {
            look_at(archive, permit, &commitment.objects).await?
        };
        store::set_failures(db, id, &failures).await?;
        commitment.failures = Some(failures);
    }
    Ok(Some(commitment))
}

/// What cannot be committed, and why. Committed is what the index has under that class and UID, and whose bytes were
/// read again and are those that came. Out of reach is not lost: that is an error, and worth another try.
async fn look_at(
    archive: &Archive,
    permit: &Permit<ReadStudies>,
    objects: &[Object],
) -> Result<BTreeMap<usize, u16>, ArchiveError> {
    let mut failures = BTreeMap::new();
    for (chunk, begin) in objects.chunks(LOOKED_FOR).zip((0..).step_by(LOOKED_FOR)) {
        let uids: Vec<&str> = chunk.iter().map(|(_, uid)| uid.as_str()).filter(|uid| is_uid(uid)).collect();
        let mut found: HashMap<String, InstanceRef> = HashMap::new();
        if !uids.is_empty() {
            let keys = [(tags::SOP_INSTANCE_UID, uids.join("\\"))];
            let query = Query::from_attributes(Level::Instance, &keys)?;
            let rows = archive.find_instances(permit, &query).await?.items;
            found.extend(rows.into_iter().map(|row| (row.instance.sop_uid.clone(), row.instance)));
        }
        for ((class, uid), at) in chunk.iter().zip(begin..) {
            let failure = match found.get(uid) {
                None => Some(reason::NO_SUCH_OBJECT),
                Some(instance) if instance.sop_class != *class => Some(reason::CLASS_CONFLICT),
                Some(instance) if !archive.is_sound(instance).await? => Some(reason::PROCESSING_FAILURE),
                Some(_) => None,
            };
            if let Some(reason) = failure {
                failures.insert(at, reason);
            }
        }
    }
    Ok(failures)
}

fn is_uid(uid: &str) -> bool {
    DicomUid::parse_lenient(uid).is_ok()
}

/// Event type and attributes of the report (PS3.4 J.3.3.1).
fn report(commitment: &Commitment, our_title: &AeTitle) -> (u16, DataSet) {
    let none = BTreeMap::new();
    let failures = commitment.failures.as_ref().unwrap_or(&none);
    let (mut committed, mut failed) = (Vec::new(), Vec::new());
    for (at, (class, uid)) in commitment.objects.iter().enumerate() {
        let mut item = DataSet::default();
        item.put_text(tags::REFERENCED_SOP_CLASS_UID, class);
        item.put_text(tags::REFERENCED_SOP_INSTANCE_UID, uid);
        match failures.get(&at) {
            None => committed.push(item),
            Some(reason) => {
                item.put_text(tags::FAILURE_REASON, reason.to_string());
                failed.push(item);
            }
        }
    }
    let event = if failed.is_empty() { 1 } else { 2 };
    let mut out = DataSet::default();
    out.put_text(tags::RETRIEVE_AE_TITLE, our_title.as_str());
    out.put_text(tags::TRANSACTION_UID, &commitment.transaction_uid);
    if !failed.is_empty() {
        out.put_items(tags::FAILED_SOP_SEQUENCE, failed);
    }
    if !committed.is_empty() {
        out.put_items(tags::REFERENCED_SOP_SEQUENCE, committed);
    }
    (event, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_parts_what_is_committed_from_what_is_not() {
        let mut commitment = Commitment {
            id: "1".to_owned(),
            aet: "CT01".to_owned(),
            transaction_uid: "1.2".to_owned(),
            objects: (1..=3).map(|n| ("1.9".to_owned(), format!("1.2.{n}"))).collect(),
            failures: Some(BTreeMap::from([(1, reason::NO_SUCH_OBJECT)])),
            held_until: mingying_kernel::Timestamp::from_micros(0),
            reported: false,
        };
        let title = AeTitle::parse("MINGYING").unwrap();
        let (event, out) = report(&commitment, &title);
        assert_eq!((event, out.text(tags::TRANSACTION_UID)), (2, "1.2"));
        assert_eq!(out.items(tags::REFERENCED_SOP_SEQUENCE).len(), 2);
        let failed = out.items(tags::FAILED_SOP_SEQUENCE);
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].text(tags::REFERENCED_SOP_INSTANCE_UID), "1.2.2");
        assert_eq!(failed[0].text(tags::FAILURE_REASON), "274");
        commitment.failures = Some(BTreeMap::new());
        let (event, out) = report(&commitment, &title);
        assert_eq!((event, out.get(tags::FAILED_SOP_SEQUENCE)), (1, None));
    }
}
