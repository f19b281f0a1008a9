//! The Accept header and its `accept` query parameter (PS3.18 8.7): media ranges with their parameters.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Nobody lists more than this many types in earnest.
const MAX_RANGES: usize = 64;

/// One media range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MediaRange {
    /// Lower case, without parameters: `multipart/related`.
    pub essence: String,
    /// Parameter names are lower case, values unquoted.
    params: Vec<(String, String)>,
    q: f32,
}

impl MediaRange {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The type of the parts: the `type` parameter of multipart, else the range itself.
    pub fn part_type(&self) -> Option<String> {
        match self.essence.as_str() {
            "multipart/related" => Some(self.param("type")?.to_ascii_lowercase()),
            other => Some(other.to_owned()),
        }
    }

    pub fn is_multipart(&self) -> bool {
        self.essence == "multipart/related"
    }

    pub fn transfer_syntax(&self) -> Option<&str> {
        self.param("transfer-syntax")
    }

    /// Whether the range covers the type `essence`.
    pub fn covers(&self, essence: &str) -> bool {
        match self.essence.as_str() {
            "*/*" | "*" => true,
            own => {
                own == essence
                    || own.strip_suffix("/*").is_some_and(|kind| {
                        essence.split_once('/').is_some_and(|(essence_kind, _)| essence_kind == kind)
                    })
            }
        }
    }
}

/// What the client takes, the most wanted first; `*/*` when it says nothing.
pub(crate) fn accepted(headers: &HeaderMap, query: Option<&str>) -> Vec<MediaRange> {
    let from_query = query.map(str::to_owned);
    let text = from_query.unwrap_or_else(|| {
        headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect::<Vec<_>>().join(",")
    });
    let mut ranges: Vec<MediaRange> =
        split_quoted(&text, ',').into_iter().take(MAX_RANGES).filter_map(|t| parse(&t)).filter(|r| r.q > 0.0).collect();
    if ranges.is_empty() && text.trim().is_empty() {
        ranges.push(MediaRange { essence: "*/*".to_owned(), params: Vec::new(), q: 1.0 });
    }
    // Stable: equal weights keep the client's order.
    ranges.sort_by(|a, b| b.q.total_cmp(&a.q));
    ranges
}

/// A media type with parameters, as in Accept and Content-Type.
pub(crate) fn parse(text: &str) -> Option<MediaRange> {
    let mut pieces = split_quoted(text, ';').into_iter();
    let essence = pieces.next()?.trim().to_ascii_lowercase();
    if !(essence.contains('/') || essence == "*") {
        return None;
    }
    let mut range = MediaRange { essence, params: Vec::new(), q: 1.0 };
    for piece in pieces.take(32) {
        let Some((name, value)) = piece.split_once('=') else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), unquote(value.trim()));
        if name == "q" {
            range.q = value.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0);
        } else {
            range.params.push((name, value));
        }
    }
    Some(range)
}

fn unquote(text: &str) -> String {
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) => {
            let mut out = String::with_capacity(inner.len());
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                if c == '\\' { out.extend(chars.next()) } else { out.push(c) }
            }
            out
        }
        None => text.to_owned(),
    }
}

/// Splits at `separator` outside quoted strings.
fn split_quoted(text: &str, separator: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if !quoted && c == separator {
            pieces.push(String::new());
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str) -> Vec<MediaRange> {
        accepted(&HeaderMap::new(), Some(text))
    }

    #[test]
    fn ranges_with_parameters_in_order_of_weight() {
        let all = ranges(r#"image/png;q=0.2, multipart/related; type="application/dicom"; transfer-syntax=*, a/b;q=0"#);
        assert_eq!(all.len(), 2);
        assert!(all[0].is_multipart());
        assert_eq!(all[0].part_type().as_deref(), Some("application/dicom"));
        assert_eq!(all[0].transfer_syntax(), Some("*"));
        assert!(all[1].covers("image/png") && !all[1].covers("image/jpeg"));
        assert!(ranges("image/*")[0].covers("image/png"));
        assert!(ranges("")[0].covers("application/dicom+json"));
        assert!(ranges(";;;,,\",").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            for range in ranges(&text) {
                range.covers("image/png");
                range.part_type();
            }
        }
    }
}
