//! Changes as they happen, over server-sent events.

use crate::{Allowed, App, Change};
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, StreamExt};
use mingying_access::ListenLive;
use mingying_kernel::Scope;
use std::convert::Infallible;
use std::time::Duration;
use tokio_stream::wrappers::BroadcastStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(listen_live))
}

/// Whether a listener in `scope` is told.
fn in_scope(scope: Scope, change: &Change) -> bool {
    change.org.is_none_or(|org| scope.sees(org))
}

/// `event: changed` with a `Change`; `event: lagged` when some were missed and everything should be asked for again.
#[utoipa::path(get, path = "/live", responses((status = 200, content_type = "text/event-stream", body = Change)))]
async fn listen_live(
    Allowed(permit): Allowed<ListenLive>,
    State(app): State<App>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let scope = permit.scope();
    let listener = permit.actor().id.clone();
    let stop = app.live.stopped();
    let events = BroadcastStream::new(app.live.listen())
        .filter_map(move |item| {
            std::future::ready(match item {
                Ok(change) if in_scope(scope, &change) => {
                    Event::default().event("changed").json_data(change.told_to(&listener)).ok().map(Ok)
                }
                Ok(_) => None,
                Err(_) => Some(Ok(Event::default().event("lagged").data("{}"))),
            })
        })
        .take_until(stop);
    // The first bytes leave at once: the client sees that the line is open.
    let opened = futures::stream::once(async { Ok(Event::default().event("open").data("{}")) });
    Sse::new(opened.chain(events)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
