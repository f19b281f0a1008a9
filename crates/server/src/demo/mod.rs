//! Demonstration data (`--demo`): a small hospital with plainly fictional people, made through the real use cases.

mod places;
mod people;

use crate::tls::write_private;
use crate::{Config, ServerError};
use mingying_access::{ManageUsers, NewToken};
use mingying_http::App;
use mingying_kernel::{OrgId, Role};

/// The password of every demonstration user.
pub const PASSWORD: &str = "mingying-demo";

/// Fixed, so that starting twice finds the same organization.
pub(crate) const ORG: OrgId = OrgId::from_uuid(uuid::uuid!("01900000-0000-7000-8000-000000000001"));

/// Seeds a new installation; on a later start only the token is looked after. Returns the machines' token.
pub(crate) async fn prepare(app: &App, config: &Config, fresh: bool) -> Result<String, ServerError> {
    let ctx = app.access.system("demo");
    if fresh {
        places::seed(app, &ctx).await?;
        people::seed(app, &ctx).await?;
    }
    token(app, config, &ctx).await
}

/// The token for machines, kept in the data folder; a new one when the file is gone or the token no longer works.
async fn token(app: &App, config: &Config, ctx: &mingying_kernel::Ctx) -> Result<String, ServerError> {
    let path = config.data_dir.join("demo-token");
    if let Ok(text) = std::fs::read_to_string(&path) {
        let token = text.trim();
        if app.access.bearer(token).await.is_ok() {
            return Ok(token.to_owned());
        }
    }
    let permit = ctx.permit::<ManageUsers>()?;
    let new = NewToken {
        name: "demo".to_owned(),
        subject: "demo".to_owned(),
        role: Role::Machine,
        org: Some(ORG),
        expires_at: None,
    };
    let issued = app.access.create_token(&permit, new).await?;
    write_private(&path, format!("{}\n", issued.token).as_bytes())?;
    Ok(issued.token)
}
