//! Entity tags, what may be kept by whom, and parts of an answer (RFC 9110 8.8, 13, 14).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mingying_archive::{Fingerprint, InstanceRef};

/// Weak, because compression or the boundary of a multipart answer changes the bytes.
pub(crate) fn etag(instances: &[InstanceRef], form: &str) -> String {
    format!("W/\"{}\"", Fingerprint::of(form, instances))
}

/// For answers whose every byte follows from the instance and the form.
pub(crate) fn strong_etag(instance: &InstanceRef, form: &str) -> String {
    format!("\"{}\"", Fingerprint::of(form, std::slice::from_ref(instance)))
}

/// Patient data stays with the one browser; a change of the study changes the tag.
pub(crate) fn private_cache(headers: &mut HeaderMap, etag: Option<&str>) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=0, must-revalidate"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding, authorization, cookie"));
    if let Some(value) = etag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(header::ETAG, value);
    }
}

/// Whether the client has it already. Tags are compared weakly (RFC 9110 13.1.2).
pub(crate) fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|known| known.split(',').any(|one| opaque(one) == opaque(etag) || one.trim() == "*"))
}

pub(crate) fn unchanged(etag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    private_cache(response.headers_mut(), Some(etag));
    response
}

/// Whether the client takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING);
    values.iter().filter_map(|v| v.to_str().ok()).flat_map(|line| line.split(',')).any(|coding| {
        let mut pieces = coding.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default();
        let refused = pieces.filter_map(|p| p.strip_prefix("q=")).any(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
    })
}

/// Which bytes of a whole of `len` are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// From, and how many.
    Some(u64, u64),
    /// No byte of it is there.
    Beyond,
}

/// One range of bytes. Several ranges, other units, and ranges of something else than `etag` names are answered with
/// the whole, as RFC 9110 14.2 allows.
pub(crate) fn part(headers: &HeaderMap, etag: &str, len: u64) -> Part {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|known| known.trim() != etag) {
        return Part::Whole;
    }
    let Some(range) = text(header::RANGE).and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((from, to)) = range.split_once('-') else { return Part::Whole };
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|_| !text.trim().starts_with('+'));
    match (number(from), number(to)) {
        (Some(from), _) if from >= len => Part::Beyond,
        (Some(from), None) if to.trim().is_empty() => Part::Some(from, len - from),
        (Some(from), Some(to)) if to >= from => Part::Some(from, (to - from).saturating_add(1).min(len - from)),
        // The last so many bytes.
        (None, Some(last)) if from.trim().is_empty() => match last.min(len) {
            0 => Part::Beyond,
            last => Part::Some(len - last, last),
        },
        _ => Part::Whole,
    }
}

/// The answer to `Part::Beyond`.
pub(crate) fn beyond(len: u64) -> Response {
    let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{len}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    private_cache(response.headers_mut(), None);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn ranges() {
        let part = |text: &str, len| part(&with(header::RANGE, text), "\"a\"", len);
        assert_eq!(part("bytes=0-0", 10), Part::Some(0, 1));
        assert_eq!(part("bytes=2-5", 10), Part::Some(2, 4));
        assert_eq!(part("bytes=2-", 10), Part::Some(2, 8));
        assert_eq!(part("bytes=2-99", 10), Part::Some(2, 8));
        assert_eq!(part("bytes=0-18446744073709551615", 10), Part::Some(0, 10));
        assert_eq!(part("bytes=-3", 10), Part::Some(7, 3));
        assert_eq!(part("bytes=-30", 10), Part::Some(0, 10));
        for none in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(part(none, 10), Part::Beyond, "{none}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
        for whole in ["bytes=5-2", "bytes=0-1,3-4", "frames=1-2", "bytes=a-b", "bytes=", "bytes=-", "bytes=+1-2"] {
            assert_eq!(part(whole, 10), Part::Whole, "{whole}");
        }
        let mut headers = with(header::RANGE, "bytes=1-2");
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"a\""));
        assert_eq!(super::part(&headers, "\"a\"", 10), Part::Some(1, 2));
        assert_eq!(super::part(&headers, "\"b\"", 10), Part::Whole, "it has changed");
    }

    #[test]
    fn encodings() {
        for yes in ["gzip", "br, gzip;q=0.5", "*", "deflate, GZIP"] {
            assert!(takes_gzip(&with(header::ACCEPT_ENCODING, yes)), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "identity", "gzip; q=0.0"] {
            assert!(!takes_gzip(&with(header::ACCEPT_ENCODING, no)), "{no}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        let headers = with(header::IF_NONE_MATCH, "\"x\", W/\"y\"");
        assert!(not_modified(&headers, "W/\"x\"") && not_modified(&headers, "\"y\""));
        assert!(!not_modified(&headers, "\"z\""));
        assert!(not_modified(&with(header::IF_NONE_MATCH, "*"), "\"z\""));
    }
}
