//! Reports over associations of our own.

use super::{Commitment, examine, report, store};
use crate::dataset::Encoding;
use crate::listener::Shared;
use crate::peers::Peer;
use crate::scu::{Call, CallError};
use crate::session::charset_of;
use crate::ul::Role;
use crate::{status, uids};
use async_trait::async_trait;
use mingying_archive::ReadStudies;
use mingying_events::payload::peers::CommitmentRequested;
use mingying_events::{Payload, Recorded};
use mingying_jobs::{Failure, Subscriber};
use mingying_kernel::AeTitle;
use std::sync::Arc;

/// Tells callers which of their objects are committed. A peer that cannot be reached is called again with growing
/// pauses; then the delivery waits for a person.
pub struct ReportCommitments {
    shared: Arc<Shared>,
}

impl ReportCommitments {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn tell(&self, commitment: &Commitment, peer: &Peer) -> Result<(), CallError> {
        let settings = &self.shared.settings;
        let syntaxes = vec![uids::EXPLICIT_LITTLE.to_owned(), uids::IMPLICIT_LITTLE.to_owned()];
        let wanted = [(uids::COMMITMENT.to_owned(), syntaxes)];
        // We call, and yet are the provider (PS3.4 J.3.3, PS3.7 D.3.3.4).
        let roles = vec![Role { sop_class: uids::COMMITMENT.to_owned(), scu: false, scp: true }];
        let mut call = Call::open(peer, &settings.ae_title, &wanted, roles, settings.stall).await?;
        let Some((syntax, context)) = call.context_of(uids::COMMITMENT) else {
            call.abort().await;
            return Err(CallError::NotAccepted);
        };
        let encoding = Encoding::of(&syntax).unwrap_or(Encoding::ImplicitLittle);
        let (event, report) = report(commitment, &settings.ae_title);
        let data = report.encode(encoding, &charset_of(Some(peer)));
        match call.report_event(context, uids::COMMITMENT, uids::COMMITMENT_INSTANCE, event, &data).await {
            Ok(answer) => {
                call.release().await;
                if answer == status::SUCCESS || status::is_warning(answer) {
                    Ok(())
                } else {
                    Err(CallError::Status(answer))
                }
            }
            Err(error) => {
                call.abort().await;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Subscriber for ReportCommitments {
    fn name(&self) -> &'static str {
        "storage-commitment"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[CommitmentRequested::TOPIC]
    }

    async fn handle(&self, event: &Recorded) -> Result<(), Failure> {
        let shared = &self.shared;
        let Some(waiting) = store::load(&shared.db, &event.subject_id).await? else { return Ok(()) };
        if waiting.reported {
            return Ok(());
        }
        if waiting.held_until > shared.clock.now() {
            return Err(Failure::Retry("the caller may be told over its own association".to_owned()));
        }
        let aet = AeTitle::parse(&waiting.aet).map_err(|_| Failure::Dead("no AE title".to_owned()))?;
        let peer = crate::store::find(&shared.db, &aet).await?;
        let peer = peer.ok_or_else(|| Failure::Dead(format!("{aet} is not in the register of peers")))?;
        let permit = shared.device_ctx(aet.as_str(), peer.org).permit::<ReadStudies>();
        let permit = permit.map_err(|_| Failure::Dead(format!("{aet} may not read")))?;
        let Some(commitment) = examine(&shared.db, &shared.archive, &permit, &waiting.id).await? else { return Ok(()) };
        self.tell(&commitment, &peer).await.map_err(|error| Failure::Retry(format!("{aet}: {}", error.code())))?;
        store::set_reported(&shared.db, &commitment.id, shared.clock.now()).await?;
        Ok(())
    }
}
