//! One user of each role.

use super::cast::Cast;
use crate::{DEMO_PASSWORD, ServerError};
use mingying_access::{ManageUsers, NewUser};
use mingying_http::App;
use mingying_kernel::{Actor, ActorKind, Ctx, Role};

const USERS: [(&str, &str, Role); 13] = [
    ("admin", "管理员 周衡", Role::Admin),
    ("registrar", "登记员 何静", Role::Registrar),
    ("nurse", "护士 林悦", Role::Nurse),
    ("tech", "技师 秦川", Role::Tech),
    ("trainee", "规培医师 陶然", Role::Trainee),
    ("radiologist", "医师 顾言", Role::Radiologist),
    ("senior", "主任医师 沈岚", Role::Senior),
    ("expert", "专家 陆远", Role::Expert),
    ("clinician", "临床医师 程安", Role::Clinician),
    ("qc", "质控员 温宁", Role::Qc),
    ("engineer", "工程师 罗毅", Role::Engineer),
    ("head", "科主任 方正", Role::Head),
    ("security", "安全员 严明", Role::Security),
];

pub(super) async fn seed(app: &App, ctx: &Ctx) -> Result<Cast, ServerError> {
    let permit = ctx.permit::<ManageUsers>()?;
    let mut actors = Vec::new();
    for (username, name, role) in USERS {
        let new = NewUser {
            username: username.to_owned(),
            name: name.to_owned(),
            password: DEMO_PASSWORD.to_owned(),
            roles: vec![role],
            demo: true,
            org: Some(super::ORG),
        };
        let user = app.access.create_user(&permit, new).await?;
        let actor =
            Actor { kind: ActorKind::User, id: user.id.to_string(), name: user.name, roles: user.roles, org: user.org };
        actors.push((role, actor));
    }
    Ok(Cast::new(app, actors))
}
