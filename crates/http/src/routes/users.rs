//! Accounts, for the administrator.

use crate::{Allowed, ApiError, ApiJson, ApiPath, ApiResult, App, Page};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mingying_access::{ManageUsers, NewUser, ReadUsers, UserChange};
use mingying_kernel::{Role, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_users, create_user)).routes(routes!(change_user))
}

#[derive(Serialize, ToSchema)]
struct User {
    id: String,
    username: String,
    name: String,
    roles: Vec<&'static str>,
    active: bool,
    second_factor: bool,
    demo: bool,
    /// RFC 3339.
    created_at: String,
}

impl From<mingying_access::User> for User {
    fn from(user: mingying_access::User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            name: user.name,
            roles: user.roles.into_iter().map(Role::as_str).collect(),
            active: user.active,
            second_factor: user.second_factor,
            demo: user.demo,
            created_at: user.created_at.to_rfc3339(),
        }
    }
}

fn roles_of(texts: &[String]) -> ApiResult<Vec<Role>> {
    texts.iter().map(|text| Role::parse(text).ok_or_else(|| ApiError::invalid("roles"))).collect()
}

/// All accounts.
#[utoipa::path(get, path = "/users", responses((status = 200, body = Page<User>)))]
async fn list_users(Allowed(permit): Allowed<ReadUsers>, State(app): State<App>) -> ApiResult<Json<Page<User>>> {
    let users = app.access.list_users(&permit).await?;
    Ok(Json(Page::whole(users.into_iter().map(User::from).collect())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateUser {
    username: String,
    name: String,
    password: String,
    roles: Vec<String>,
}

/// Makes an account: 409 `user.name_taken`, 422 `user.password_weak` or `invalid`.
#[utoipa::path(post, path = "/users", request_body = CreateUser, responses((status = 201, body = User)))]
async fn create_user(
    Allowed(permit): Allowed<ManageUsers>,
    State(app): State<App>,
    ApiJson(body): ApiJson<CreateUser>,
) -> ApiResult<(StatusCode, Json<User>)> {
    let new = NewUser {
        username: body.username,
        name: body.name,
        password: body.password,
        roles: roles_of(&body.roles)?,
        demo: false,
        org: permit.actor().org,
    };
    let user = app.access.create_user(&permit, new).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeUser {
    name: Option<String>,
    roles: Option<Vec<String>>,
    active: Option<bool>,
    /// A new password, set by the administrator.
    password: Option<String>,
}

/// Changes an account; changed rights end its sessions. 409 `user.last_admin`.
#[utoipa::path(patch, path = "/users/{id}", params(("id" = String, Path)), request_body = ChangeUser,
    responses((status = 200, body = User)))]
async fn change_user(
    Allowed(permit): Allowed<ManageUsers>,
    State(app): State<App>,
    ApiPath(id): ApiPath<UserId>,
    ApiJson(body): ApiJson<ChangeUser>,
) -> ApiResult<Json<User>> {
    let change = UserChange {
        name: body.name,
        roles: body.roles.as_deref().map(roles_of).transpose()?,
        active: body.active,
        password: body.password,
    };
    Ok(Json(app.access.change_user(&permit, id, change).await?.into()))
}
