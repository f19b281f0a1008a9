//! Rendered images and thumbnails (PS3.18 8.3.5, 10.4.1.1.3).

use crate::auth::Allowed;
use crate::frames::parse_list;
use crate::path::Target;
use crate::qido::parameters;
use crate::wado::{self, etag, instances, not_modified, private_cache, set, unchanged, wanted};
use crate::{Problem, Web, accept};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dicom_dictionary_std::tags;
use mingying_archive::{Fingerprint, InstanceRef, ReadStudies};
use mingying_dicom::render::{Format, View, Window, WindowFunction};
use mingying_kernel::Permit;

const THUMBNAIL: u32 = 256;
const QUALITY: u8 = 90;

/// The query parameters of PS3.18 8.3.5.1.
#[derive(Debug, Clone, PartialEq)]
struct Wish {
    view: View,
    quality: u8,
}

fn numbers<const N: usize>(text: &str) -> Option<[Option<f64>; N]> {
    let mut out = [None; N];
    let mut pieces = text.split(',');
    for slot in &mut out {
        let Some(piece) = pieces.next() else { break };
        if piece.trim().is_empty() {
            continue;
        }
        *slot = Some(piece.trim().parse::<f64>().ok().filter(|n| n.is_finite())?);
    }
    pieces.next().is_none().then_some(out)
}

impl Wish {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut wish = Self { view: View::default(), quality: QUALITY };
        for (name, value) in parameters(query) {
            match name.as_str() {
                "window" => wish.view.window = Some(window(&value).ok_or_else(|| Problem::invalid("window"))?),
                "viewport" => {
                    let (size, region) = viewport(&value).ok_or_else(|| Problem::invalid("viewport"))?;
                    (wish.view.size, wish.view.region) = (Some(size), region);
                }
                "quality" => {
                    let quality = value.parse::<u8>().ok().filter(|q| (1..=100).contains(q));
                    wish.quality = quality.ok_or_else(|| Problem::invalid("quality"))?;
                }
                // Annotations would have to be burnt in; an image without them must not pass for one with them.
                "annotation" if !value.is_empty() => {
                    return Err(
                        Problem::new(StatusCode::NOT_ACCEPTABLE, "render.unsupported").with("what", "annotation")
                    );
                }
                _ => {}
            }
        }
        Ok(wish)
    }
}

/// `center,width,function`.
fn window(text: &str) -> Option<Window> {
    let (rest, function) = match text.match_indices(',').nth(1) {
        Some((at, _)) => (text.get(..at)?, WindowFunction::parse(text.get(at + 1..)?)?),
        None => (text, WindowFunction::default()),
    };
    let [center, width] = numbers::<2>(rest)?;
    Some(Window { center: center?, width: width.filter(|w| *w > 0.0)?, function })
}

type Place = ((u32, u32), Option<(u32, u32, u32, u32)>);

/// `vw,vh[,sx,sy[,sw,sh]]`; flipping by negative sizes is refused.
fn viewport(text: &str) -> Option<Place> {
    let [width, height, left, top, across, down] = numbers::<6>(text)?;
    let whole = |n: f64| (n >= 0.0 && n <= f64::from(u16::MAX)).then_some(n.round() as u32);
    let size = (whole(width?).filter(|n| *n > 0)?, whole(height?).filter(|n| *n > 0)?);
    if left.is_none() && top.is_none() && across.is_none() && down.is_none() {
        return Some((size, None));
    }
    let most = f64::from(u16::MAX);
    let region = (
        whole(left.unwrap_or(0.0))?,
        whole(top.unwrap_or(0.0))?,
        whole(across.unwrap_or(most))?,
        whole(down.unwrap_or(most))?,
    );
    Some((size, Some(region)))
}

fn format(ranges: &[accept::MediaRange], quality: u8) -> Option<Format> {
    ranges.iter().find_map(|range| {
        if range.covers("image/jpeg") {
            Some(Format::Jpeg(quality))
        } else if range.covers("image/png") {
            Some(Format::Png)
        } else {
            None
        }
    })
}

/// The frame that stands for a multi-frame object: its own choice (0028,6010), else the first.
async fn representative_frame(web: &Web, instance: &InstanceRef) -> Result<u32, Problem> {
    if instance.frames <= 1 {
        return Ok(0);
    }
    let header = web.archive.header(instance).await?;
    let named = header.get(tags::REPRESENTATIVE_FRAME_NUMBER).and_then(|e| e.to_int::<i64>().ok());
    let number = named.filter(|n| (1..=instance.frames).contains(n)).unwrap_or(1);
    Ok(u32::try_from(number - 1).unwrap_or(0))
}

/// The image in the middle of what has pixels stands for a study or series.
async fn representative(web: &Web, permit: &Permit<ReadStudies>, target: &Target) -> Result<InstanceRef, Problem> {
    let found = instances(web, permit, target).await?;
    let images: Vec<&InstanceRef> = found.iter().filter(|i| i.has_pixels).collect();
    let first = images.first().ok_or_else(Problem::not_found)?;
    let series: Vec<&&InstanceRef> = images.iter().filter(|i| i.series_uid == first.series_uid).collect();
    series.get(series.len() / 2).map(|i| (**i).clone()).ok_or_else(Problem::not_found)
}

/// Names how pictures are made. To be raised whenever the same request gives another picture, so that none of the old
/// ones is taken from what is kept.
const FORM: &str = "rendered 1";

async fn picture(
    web: &Web,
    instance: &InstanceRef,
    frame: u32,
    wish: Wish,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let format = format(&wanted(headers, query), wish.quality).ok_or_else(Problem::not_acceptable)?;
    let form = format!("{FORM} {frame} {format:?} {wish:?}");
    let etag = etag(std::slice::from_ref(instance), &form);
    if not_modified(headers, &etag) {
        return Ok(unchanged(&etag));
    }
    let make = web.renderers.render(&web.archive, instance, frame, wish.view, format);
    let bytes = web.archive.derived(Fingerprint::of(&form, std::slice::from_ref(instance)), make).await?;
    let mut response = (StatusCode::OK, Body::from(bytes)).into_response();
    set(response.headers_mut(), header::CONTENT_TYPE, format.media_type());
    private_cache(response.headers_mut(), Some(&etag));
    Ok(response)
}

/// Study, series or instance, or one frame where the path names it.
async fn show(
    web: &Web,
    permit: &Permit<ReadStudies>,
    target: &Target,
    wish: Wish,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let instance = match target.sop {
        Some(_) => wado::instance(web, permit, target).await?,
        None => representative(web, permit, target).await?,
    };
    if !instance.has_pixels {
        return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "render.no_pixels"));
    }
    let frame = if target.rest.is_empty() {
        representative_frame(web, &instance).await?
    } else {
        match parse_list(&target.rest, instance.frames)?.as_slice() {
            [one] => *one,
            // Several frames would make a film; there is no encoder for one here.
            _ => return Err(Problem::not_acceptable()),
        }
    };
    picture(web, &instance, frame, wish, headers, query).await
}

pub(crate) async fn render(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = Wish::parse(query.as_deref())?;
    show(&web, &permit, &target, wish, &headers, query.as_deref()).await
}

pub(crate) async fn thumbnail(
    Allowed(permit): Allowed<ReadStudies>,
    State(web): State<Web>,
    target: Target,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut wish = Wish::parse(query.as_deref())?;
    wish.view.size = wish.view.size.or(Some((THUMBNAIL, THUMBNAIL)));
    show(&web, &permit, &target, wish, &headers, query.as_deref()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes() {
        let wish = Wish::parse(Some("window=40,400,linear-exact&viewport=100,50,1,2,30,40&quality=70")).unwrap();
        assert_eq!(
            wish.view.window.map(|w| (w.center, w.width, w.function)),
            Some((40.0, 400.0, WindowFunction::LinearExact))
        );
        assert_eq!((wish.view.size, wish.view.region, wish.quality), (Some((100, 50)), Some((1, 2, 30, 40)), 70));
        assert_eq!(Wish::parse(Some("viewport=512,512")).unwrap().view.region, None);
        assert_eq!(
            Wish::parse(Some("window=-600,1500")).unwrap().view.window.unwrap().function,
            WindowFunction::Linear
        );
        for bad in [
            "window=1",
            "window=1,0",
            "window=1,2,x",
            "window=a,b",
            "viewport=0,1",
            "viewport=1",
            "viewport=1,1,-1,0",
            "viewport=1,1,1,1,1,1,1",
            "quality=0",
            "quality=101",
            "annotation=patient",
            "window=NaN,1",
            "viewport=inf,1",
        ] {
            assert!(Wish::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
