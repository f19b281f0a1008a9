//! C-STORE (PS3.4 annex B).

use crate::command::Command;
use crate::negotiate::{Context, Service};
use crate::session::Session;
use crate::status;
use crate::ul::LinkError;
use futures::future::BoxFuture;
use mingying_archive::{FileMeta, Origin, Receiving, StoreStudy};
use mingying_kernel::{Coded, DicomUid, Permit};

/// An object with its outcome, to be answered.
pub(crate) struct Stored {
    pub(crate) context: u8,
    pub(crate) request: Command,
    pub(crate) status: u16,
    /// A stable code for the sender's log; empty on success.
    pub(crate) comment: &'static str,
}

/// Streams the data set into the archive. What is returned becomes ready when the object is durable and indexed, or
/// refused; the caller then answers.
pub(crate) async fn receive(
    session: &mut Session<'_>,
    context: u8,
    accepted: &Context,
    request: Command,
) -> Result<Option<BoxFuture<'static, Stored>>, LinkError> {
    let mut object = match admit(session, accepted, &request) {
        Ok(object) => Ok(object),
        Err(refusal) => {
            if !request.has_data {
                return Ok(Some(done(context, request, refusal)));
            }
            Err(refusal)
        }
    };
    loop {
        let last = session.next_data(context).await?;
        if let Ok((receiving, _)) = &mut object
            && let Err(error) = receiving.write(session.link.data()).await
        {
            // The rest is read past: a sender that is in the middle of a message hears nothing before its end.
            object = Err(refusal(&error));
        }
        if last {
            break;
        }
    }
    match object {
        Err(refusal) => Ok(Some(done(context, request, refusal))),
        Ok((receiving, permit)) => Ok(Some(Box::pin(async move {
            let (status, comment) = match receiving.finish(&permit).await {
                Ok(_) => (status::SUCCESS, ""),
                Err(error) => refusal(&error),
            };
            Stored { context, request, status, comment }
        }))),
    }
}

type Refusal = (u16, &'static str);

/// Checks what can be checked before the first byte of the data set.
fn admit(
    session: &Session<'_>,
    accepted: &Context,
    request: &Command,
) -> Result<(Receiving, Permit<StoreStudy>), Refusal> {
    if accepted.service != Service::Storage {
        return Err((status::UNRECOGNIZED_OPERATION, "dimse.operation"));
    }
    // It chose to receive objects of this class only (PS3.7 D.3.3.4).
    if !accepted.caller_is_scu {
        return Err((status::NOT_AUTHORIZED, "dimse.role"));
    }
    if !request.has_data {
        return Err((status::CANNOT_UNDERSTAND, "dimse.no_data_set"));
    }
    // The class of the message is that of its context (PS3.7 9.3.1.1, 0122H).
    if request.sop_class != accepted.abstract_syntax {
        return Err((status::SOP_CLASS_NOT_SUPPORTED, "dimse.sop_class"));
    }
    if DicomUid::parse_lenient(&request.sop_instance).is_err() {
        return Err((status::DOES_NOT_MATCH, "dimse.sop_instance"));
    }
    let permit = session.permit::<StoreStudy>().map_err(|status| (status, "dimse.not_authorized"))?;
    let meta = FileMeta {
        sop_class: request.sop_class.clone(),
        sop_instance: request.sop_instance.clone(),
        transfer_syntax: accepted.transfer_syntax.clone(),
    };
    Ok((session.shared.archive.receive(Origin::aet(&session.caller.aet), meta), permit))
}

fn refusal(error: &mingying_archive::ArchiveError) -> Refusal {
    let status = status::of_store(error);
    tracing::warn!(code = error.code(), status = format_args!("{status:04X}"), %error, "object refused");
    (status, error.code())
}

fn done(context: u8, request: Command, (status, comment): Refusal) -> BoxFuture<'static, Stored> {
    Box::pin(std::future::ready(Stored { context, request, status, comment }))
}
