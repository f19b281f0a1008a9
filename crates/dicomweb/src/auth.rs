//! Who asks: answered by the composition, checked here before anything else.

use crate::{Problem, Web};
use async_trait::async_trait;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use mingying_kernel::{Action, Ctx, Permit};

/// Why nobody is let in. The codes are those of the REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    pub code: &'static str,
}

impl Refused {
    pub const ANONYMOUS: Self = Self { status: StatusCode::UNAUTHORIZED, code: "login.required" };
}

/// Tells who sent a request: the same cookie with its CSRF header, or bearer token, that the REST interface takes.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    async fn authenticate(&self, parts: &Parts) -> Result<Ctx, Refused>;

    /// The policy did not allow `action`; the place to write that down.
    async fn denied(&self, _ctx: &Ctx, _action: &'static str) {}
}

/// Proof that the caller may do `A`. Comes first in every handler.
pub(crate) struct Allowed<A>(pub Permit<A>);

impl<A: Action> FromRequestParts<Web> for Allowed<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Problem> {
        let ctx = web.authenticate.authenticate(parts).await.map_err(Problem::from)?;
        match ctx.permit::<A>() {
            Ok(permit) => Ok(Self(permit)),
            Err(denied) => {
                web.authenticate.denied(&ctx, denied.action).await;
                Err(Problem::new(StatusCode::FORBIDDEN, "auth.forbidden"))
            }
        }
    }
}
