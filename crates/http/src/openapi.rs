//! The OpenAPI document, and a page that shows it without loading anything from elsewhere.

use crate::{App, Change, Problem, routes};
use axum::http::header;
use axum::response::{Html, IntoResponse};
use utoipa::OpenApi as _;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Mingying", description = "REST interface of Mingying, a medical imaging centre's system."),
    components(schemas(Problem, Change))
)]
struct Base;

pub(crate) fn split() -> (axum::Router<App>, OpenApi) {
    let (router, mut document) =
        OpenApiRouter::with_openapi(Base::openapi()).nest("/api/v1", routes::all()).split_for_parts();
    complete(&mut document);
    (router, document)
}

/// The document, without a running server.
pub fn document() -> OpenApi {
    split().1
}

/// What holds for every operation is said once, here.
fn complete(document: &mut OpenApi) {
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let components = document.components.get_or_insert_with(Default::default);
    components
        .add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::auth::COOKIE))));
    components
        .add_security_scheme("token", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
            &mut item.head,
            &mut item.options,
            &mut item.trace,
        ];
        for operation in operations.into_iter().flatten() {
            let problem = ResponseBuilder::new()
                .description("problem+json; clients decide by `code`")
                .content(
                    "application/problem+json",
                    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build(),
                )
                .build();
            operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(problem));
        }
    }
}

pub(crate) async fn json() -> impl IntoResponse {
    let text = document().to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], text)
}

pub(crate) async fn docs() -> Html<&'static str> {
    Html(include_str!("docs.html"))
}

pub(crate) async fn docs_script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("docs.js"))
}

#[cfg(test)]
mod tests {
    /// Clients make their calls from the document: a parameter must stand where the server looks for it.
    #[test]
    fn parameters_of_the_path_stand_in_the_path() {
        let document = serde_json::to_value(super::document()).unwrap();
        let mut seen = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    assert_eq!(parameter["in"] == "path", path.contains(&format!("{{{name}}}")), "{path} {name}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 50, "{seen}");
    }
}
