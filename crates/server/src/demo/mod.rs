//! Demonstration data (`--demo`): a small hospital with plainly fictional people, made through the real use cases, so
//! that its timelines, audit rows and numbers are what the product itself would have written.

mod cases;
mod cast;
mod catalogue;
mod images;
mod patients;
mod people;
mod phantom;
mod phrases;
mod places;
mod templates;

use crate::tls::write_private;
use crate::{Config, ServerError};
use mingying_access::{ManageUsers, NewToken};
use mingying_http::App;
use mingying_kernel::{Coded, OrgId, Role};

/// The password of every demonstration user.
pub const PASSWORD: &str = "mingying-demo";

/// Fixed, so that starting twice finds the same organization.
pub(crate) const ORG: OrgId = OrgId::from_uuid(uuid::uuid!("01900000-0000-7000-8000-000000000001"));

/// A use case refused what the demonstration wanted: a fault of the demonstration's script.
fn said<E: Coded>(error: E) -> ServerError {
    ServerError::Demo(format!("{}: {error}", error.code()))
}

/// Fills a new installation; on a later start only the token is looked after. Returns the machines' token. Events
/// written here wait for the subscribers, which start afterwards.
pub(crate) async fn prepare(app: &App, config: &Config, fresh: bool) -> Result<String, ServerError> {
    let ctx = app.access.system("demo");
    if fresh {
        places::seed(app, &ctx).await?;
        catalogue::seed(app, &ctx).await?;
        let cast = people::seed(app, &ctx).await?;
        templates::seed(app, &ctx).await?;
        templates::pending(app, &cast).await?;
        phrases::seed(app, &cast).await?;
        let patients = patients::seed(app, &cast.now(Role::Registrar)).await?;
        places::displays(app, &cast.now(Role::Head)).await?;
        cases::seed(app, config, &cast, &patients).await?;
        tracing::info!("demonstration data made");
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
