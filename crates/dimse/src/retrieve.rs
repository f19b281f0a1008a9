//! C-MOVE of the Query/Retrieve service (PS3.4 C.4.2): sends what was asked for to a registered peer.

use crate::command::{Command, Counts, Response};
use crate::dataset::{DataSet, Encoding};
use crate::find::QueryLevel;
use crate::negotiate::{Context, Root};
use crate::scu::{CONTEXTS_EACH, CallError, Sender};
use crate::session::Session;
use crate::ul::LinkError;
use crate::{status, store};
use dicom_dictionary_std::tags;
use mingying_access::Outcome;
use mingying_archive::{ArchiveError, InstanceRef, Level, Query, ReadStudies};
use mingying_db::DbError;
use mingying_kernel::{AeTitle, Coded, Permit};
use std::collections::BTreeSet;

/// Presentation contexts of one association.
const MAX_CONTEXTS: usize = 128;

pub(crate) async fn answer(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    request: &Command,
    root: Root,
    identifier: Option<DataSet>,
) -> Result<(), LinkError> {
    let mut moving = match prepare(session, request, root, identifier).await {
        Ok(moving) => moving,
        Err((status, comment)) => {
            let mut response = Response::to(request, status);
            response.comment = comment;
            return session.respond(context, &response, None).await;
        }
    };
    let cancelled = moving.run(session, context, request).await?;
    let counts = moving.counts();
    let status = if cancelled {
        status::CANCEL
    } else if counts.failed > 0 && moving.unreachable {
        status::MOVE_NO_SUB_OPERATIONS
    } else if counts.failed > 0 || counts.warning > 0 {
        status::MOVE_WARNING
    } else {
        status::SUCCESS
    };
    let mut response = Response::to(request, status);
    response.comment = moving.why;
    response.counts = Some(counts);
    // The list of what failed goes with every final response but success (PS3.4 C.4.2.1.4.2).
    let failed = (!moving.failed.is_empty()).then(|| {
        let mut list = DataSet::default();
        list.put_text(tags::FAILED_SOP_INSTANCE_UID_LIST, moving.failed.join("\\"));
        let encoding = Encoding::of(&accepted.transfer_syntax).unwrap_or(Encoding::ImplicitLittle);
        list.encode(encoding, &session.caller.charset)
    });
    response.has_data = failed.is_some();
    session.respond(context, &response, failed.as_deref()).await
}

type Refusal = (u16, &'static str);

/// A C-MOVE underway.
struct Moving {
    instances: Vec<InstanceRef>,
    destination: crate::Peer,
    completed: usize,
    warning: usize,
    failed: Vec<String>,
    /// Code of why the first of them failed, where that is known here; empty otherwise.
    why: &'static str,
    /// The destination did not take the association at all.
    unreachable: bool,
}

/// Finds the destination and what is to be sent.
async fn prepare(
    session: &Session<'_>,
    request: &Command,
    root: Root,
    identifier: Option<DataSet>,
) -> Result<Moving, Refusal> {
    let identifier = identifier.ok_or((status::CANNOT_UNDERSTAND, "dimse.identifier"))?;
    let level = QueryLevel::of(&identifier, root).ok_or((status::DOES_NOT_MATCH, "dimse.level"))?;
    let permit = session.permit::<ReadStudies>().map_err(|status| (status, "dimse.not_authorized"))?;
    let title = AeTitle::parse(&request.move_destination)
        .map_err(|_| (status::MOVE_DESTINATION_UNKNOWN, "dimse.destination"))?;
    let destination = store::find(&session.shared.db, &title)
        .await
        .map_err(|error| (status::of_move(&error), error.code()))?
        .ok_or((status::MOVE_DESTINATION_UNKNOWN, "dimse.destination"))?;
    let instances = instances(session, &permit, level, &identifier).await?;
    audit(session, &instances, &title).await.map_err(|error| (status::MOVE_NO_MATCHES, error.code()))?;
    Ok(Moving { instances, destination, completed: 0, warning: 0, failed: Vec::new(), why: "", unreachable: false })
}

/// The instances that the unique keys name; lists of UIDs are taken at every level (PS3.4 C.4.2.2.1).
async fn instances(
    session: &Session<'_>,
    permit: &Permit<ReadStudies>,
    level: QueryLevel,
    identifier: &DataSet,
) -> Result<Vec<InstanceRef>, Refusal> {
    let archive = &session.shared.archive;
    let refusal = |error: ArchiveError| (status::of_move(&error), error.code());
    let list =
        |tag| -> Vec<&str> { identifier.text(tag).split('\\').map(str::trim).filter(|v| !v.is_empty()).collect() };
    let missing = (status::DOES_NOT_MATCH, "dimse.unique_key");
    let mut studies: Vec<String> = list(tags::STUDY_INSTANCE_UID).into_iter().map(str::to_owned).collect();
    if level == QueryLevel::Patient {
        let patient = identifier.text(tags::PATIENT_ID);
        // A wildcard would move the whole archive.
        if patient.is_empty() || patient.contains(['*', '?', '\\']) {
            return Err(missing);
        }
        let keys = [(tags::PATIENT_ID, patient.to_owned())];
        let query = Query::from_attributes(Level::Study, &keys).map_err(refusal)?;
        let found = archive.find_studies(permit, &query).await.map_err(refusal)?;
        studies = found.items.into_iter().map(|study| study.study_uid).collect();
    } else if studies.is_empty() {
        return Err(missing);
    }
    let (series, objects) = (list(tags::SERIES_INSTANCE_UID), list(tags::SOP_INSTANCE_UID));
    let mut found = Vec::new();
    for study in &studies {
        let of_study = archive.instances_of(permit, study, None, None).await.map_err(refusal)?;
        found.extend(of_study.into_iter().filter(|instance| match level {
            QueryLevel::Patient | QueryLevel::Archive(Level::Study) => true,
            QueryLevel::Archive(Level::Series) => series.contains(&instance.series_uid.as_str()),
            QueryLevel::Archive(Level::Instance) => {
                objects.contains(&instance.sop_uid.as_str())
                    && (series.is_empty() || series.contains(&instance.series_uid.as_str()))
            }
        }));
    }
    let named = match level {
        QueryLevel::Archive(Level::Series) => !series.is_empty(),
        QueryLevel::Archive(Level::Instance) => !objects.is_empty(),
        _ => true,
    };
    if named { Ok(found) } else { Err(missing) }
}

impl Moving {
    fn counts(&self) -> Counts {
        let done = self.completed + self.warning + self.failed.len();
        let bounded = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Counts {
            remaining: bounded(self.instances.len().saturating_sub(done)),
            completed: bounded(self.completed),
            failed: bounded(self.failed.len()),
            warning: bounded(self.warning),
        }
    }

    fn fail(&mut self, instance: &InstanceRef, error: &CallError) {
        tracing::warn!(destination = %self.destination.aet, %error, sop_class = instance.sop_class, "not sent");
        let why = match error {
            CallError::NotAccepted => "dimse.not_accepted",
            CallError::Unconvertible(_) => "dimse.unconvertible",
            CallError::Archive(error) => error.code(),
            _ => "",
        };
        if self.why.is_empty() {
            self.why = why;
        }
        self.failed.push(instance.sop_uid.clone());
    }

    /// Sends everything; true when the peer cancelled.
    async fn run(&mut self, session: &mut Session<'_>, context: u8, request: &Command) -> Result<bool, LinkError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut seen = BTreeSet::new();
        for instance in &self.instances {
            let pair = (instance.sop_class.clone(), instance.transfer_syntax.clone());
            if seen.insert(pair.clone()) {
                pairs.push(pair);
            }
        }
        // One association is enough but for studies of more kinds than an association has contexts.
        let instances = self.instances.clone();
        for wanted in pairs.chunks(MAX_CONTEXTS / CONTEXTS_EACH) {
            let is_wanted = |instance: &&InstanceRef| {
                wanted.iter().any(|(class, syntax)| *class == instance.sop_class && *syntax == instance.transfer_syntax)
            };
            let mut sender = match Sender::connect(&self.destination, &session.shared, wanted).await {
                Ok(sender) => sender,
                Err(error) => {
                    tracing::warn!(destination = %self.destination.aet, error = error.code(), "C-MOVE destination");
                    self.unreachable = self.completed == 0;
                    self.failed.extend(instances.iter().filter(is_wanted).map(|i| i.sop_uid.clone()));
                    continue;
                }
            };
            for instance in instances.iter().filter(is_wanted) {
                let sent =
                    sender.store(&session.shared.archive, instance, &session.caller.aet, request.message_id).await;
                let is_ours = matches!(sent, Err(CallError::Archive(_) | CallError::Unconvertible(_)));
                match sent {
                    Ok(status::SUCCESS) => self.completed += 1,
                    // Bxxx: stored with coercion or a remark (PS3.4 B.2.3).
                    Ok(warning) if warning & 0xF000 == 0xB000 => self.warning += 1,
                    Ok(_) => self.failed.push(instance.sop_uid.clone()),
                    Err(error) => self.fail(instance, &error),
                }
                let mut pending = Response::to(request, status::PENDING);
                pending.counts = Some(self.counts());
                session.respond(context, &pending, None).await?;
                // What failed on our side in the middle of an object cost the association; the others still go.
                if sender.is_broken()
                    && is_ours
                    && let Ok(again) = Sender::connect(&self.destination, &session.shared, wanted).await
                {
                    std::mem::replace(&mut sender, again).close().await;
                }
                if session.cancelled(request).await? {
                    sender.close().await;
                    return Ok(true);
                }
            }
            sender.close().await;
        }
        Ok(false)
    }
}

/// What left the archive, and where to.
async fn audit(session: &Session<'_>, instances: &[InstanceRef], destination: &AeTitle) -> Result<(), DbError> {
    let studies: BTreeSet<&str> = instances.iter().map(|instance| instance.study_uid.as_str()).collect();
    if studies.is_empty() {
        return Ok(());
    }
    let mut tx = session.shared.db.begin().await?;
    for study in studies {
        mingying_access::audit(
            &mut tx,
            &session.caller.ctx,
            "study.read",
            "study",
            study,
            Outcome::Done,
            &format!("C-MOVE to {destination}"),
        )
        .await?;
    }
    tx.commit().await
}
