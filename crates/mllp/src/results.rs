//! ORU^R01 to every receiver when a report is signed. A receiver that answers keeps its message; one that does not
//! gets the same message again, under the same control id, until it does or a person looks.

use crate::client::{SendFault, send};
use crate::store::{self, NewMessage, Receiver};
use crate::{Direction, MessageState};
use async_trait::async_trait;
use jiff::tz::TimeZone;
use mingying_access::audit;
use mingying_db::Db;
use mingying_events::payload::reporting::ReportFinal;
use mingying_events::{Payload, Recorded};
use mingying_hl7::{Destination, ResultMessage, encode, oru_r01};
use mingying_jobs::{Failure, Subscriber};
use mingying_kernel::{Ctx, MessageId, ReportId, Timestamp};
use mingying_patients::IdentifierKind;
use mingying_reporting::{Content, ReadReports, content};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::ClientConfig;

/// How long a receiver may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Sends signed reports.
pub struct ResultSender {
    db: Db,
    ctx: Ctx,
    /// MSH-4 of what we send.
    facility: String,
    zone: TimeZone,
    tls: Arc<ClientConfig>,
}

impl ResultSender {
    pub fn new(db: Db, ctx: Ctx, facility: &str, zone: TimeZone, tls: Arc<ClientConfig>) -> Self {
        Self { db, ctx, facility: facility.to_owned(), zone, tls }
    }

    async fn send_to(&self, event: &Recorded, content: &Content, receiver: &Receiver) -> Result<(), Failure> {
        let (id, body) = match store::sent_for(&self.db, event.id, &receiver.name).await? {
            Some((_, MessageState::Done)) => return Ok(()),
            Some((id, _)) => (id, store::load(&self.db, id).await?.1),
            None => self.write(event, content, receiver).await?,
        };
        let control_id = control_id(id);
        let tls = receiver.tls.then(|| self.tls.clone());
        let outcome = send(&receiver.host, receiver.port, tls, &body, &control_id, ANSWER).await;
        let now = self.ctx.now();
        let mut tx = self.db.begin().await?;
        match &outcome {
            Ok(()) => {
                store::finish(&mut tx, id, Some(content.order.id), now).await?;
                audit(
                    &mut tx,
                    &self.ctx,
                    "report.send",
                    "report",
                    &content.report.to_string(),
                    mingying_access::Outcome::Done,
                    &receiver.name,
                )
                .await?;
            }
            Err(SendFault::Network(_)) => store::fail(&mut tx, id, "hl7.not_sent", "", now).await?,
            Err(SendFault::Refused(_)) => store::fail(&mut tx, id, "hl7.refused_by_receiver", "MSA-1", now).await?,
        }
        tx.commit().await?;
        match outcome {
            Ok(()) => Ok(()),
            Err(SendFault::Network(text)) => Err(Failure::Retry(format!("{}: {text}", receiver.name))),
            Err(SendFault::Refused(text)) => Err(Failure::Dead(format!("{}: {text}", receiver.name))),
        }
    }

    /// Writes the message once per event and receiver; later tries send the same bytes.
    async fn write(
        &self,
        event: &Recorded,
        content: &Content,
        receiver: &Receiver,
    ) -> Result<(MessageId, Vec<u8>), Failure> {
        let id = MessageId::new();
        let now = self.ctx.now();
        let to = Destination {
            sending_facility: self.facility.clone(),
            receiving_application: receiver.application.clone(),
            receiving_facility: receiver.facility.clone(),
            charset: receiver.charset,
        };
        let text = oru_r01(&self.result(content), &to, &control_id(id), self.wall(now));
        let body = encode(&text, receiver.charset);
        let hash = store::hash_of(&body);
        let mut tx = self.db.begin().await?;
        store::insert(
            &mut tx,
            &NewMessage {
                id,
                direction: Direction::Out,
                peer: &receiver.name,
                kind: "ORU^R01",
                control_id: &control_id(id),
                charset: receiver.charset,
                raw: &body,
                hash: &hash,
                event: Some(event.id),
                order: Some(content.order.id),
                at: now,
            },
        )
        .await?;
        tx.commit().await?;
        Ok((id, body))
    }

    fn wall(&self, at: Timestamp) -> jiff::civil::DateTime {
        at.to_jiff().to_zoned(self.zone.clone()).datetime()
    }

    fn result(&self, content: &Content) -> ResultMessage {
        let patient = &content.patient;
        let order = &content.order;
        let (item_name, _) = order.title();
        let name_of = |signed: &Option<(mingying_reporting::Author, Timestamp)>| {
            signed.as_ref().map(|(author, _)| author.name.clone()).unwrap_or_default()
        };
        ResultMessage {
            identifiers: patient
                .identifiers
                .iter()
                .map(|i| (i.value.clone(), i.issuer.clone(), kind_code(i.kind).to_owned()))
                .collect(),
            name: patient.name.clone(),
            // HL7 XPN and our romanised form differ only in the separator.
            name_latin: Some(patient.name_latin.replacen(' ', "^", 1)).filter(|t| !t.is_empty()),
            birth_date: patient
                .birth_date
                .map(|d| format!("{:04}{:02}{:02}", d.year(), d.month(), d.day()))
                .unwrap_or_default(),
            sex: patient.sex.as_str().chars().next().unwrap_or('U'),
            placer: order.placer.as_ref().map(|p| (p.number.clone(), p.issuer.clone())),
            accession: order.accession.to_string(),
            item_code: order.items.first().map(|i| i.code.clone()).unwrap_or_default(),
            item_name,
            study_uid: order.study_uid.to_string(),
            exam_at: order.started_at.or(order.imaged_at).map(|at| self.wall(at)),
            findings: content.text.findings.clone(),
            impression: content.text.impression.clone(),
            advice: content.text.advice.clone(),
            status: 'F',
            author: name_of(&content.author),
            auditor: name_of(&content.auditor),
            signed_at: self.wall(content.at),
        }
    }
}

/// MSH-10 holds 20 characters in v2.5.1: the random end of the id.
fn control_id(id: MessageId) -> String {
    let text = id.uuid().simple().to_string();
    text.get(12..).unwrap_or_default().to_owned()
}

fn kind_code(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Mrn => "MR",
        IdentifierKind::IdCard => "NI",
        IdentifierKind::Outpatient | IdentifierKind::Inpatient => "VN",
        IdentifierKind::Insurance => "HC",
        IdentifierKind::Temporary => "PT",
        IdentifierKind::Foreign => "XX",
    }
}

#[async_trait]
impl Subscriber for ResultSender {
    fn name(&self) -> &'static str {
        "hl7-results"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[ReportFinal::TOPIC]
    }

    async fn handle(&self, event: &Recorded) -> Result<(), Failure> {
        let Some(signed) = event.payload::<ReportFinal>() else {
            return Err(Failure::Dead("payload does not read".to_owned()));
        };
        let id: ReportId = signed.report_id.parse().map_err(|_| Failure::Dead("report id".to_owned()))?;
        let receivers = store::receivers(&self.db).await?;
        let active: Vec<_> = receivers.into_iter().filter(|r| r.active).collect();
        if active.is_empty() {
            return Ok(());
        }
        let permit = self.ctx.permit::<ReadReports>().map_err(|denied| Failure::Dead(denied.to_string()))?;
        let content = content(&self.db, &permit, id, Some(signed.version)).await.map_err(Failure::from)?;
        // Each receiver is tried even when another one fails; the worst outcome decides what becomes of the delivery.
        let mut worst = None;
        for receiver in &active {
            match self.send_to(event, &content, receiver).await {
                Ok(()) => {}
                Err(failure @ Failure::Retry(_)) => worst = Some(failure),
                Err(failure @ Failure::Dead(_)) => worst = worst.or(Some(failure)),
            }
        }
        worst.map_or(Ok(()), Err)
    }
}
