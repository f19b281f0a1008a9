//! Pixel work on a bounded pool: as many images at once as there are processors, a short queue, then "busy".

use crate::Problem;
use bytes::Bytes;
use dicom_object::InMemDicomObject;
use mingying_archive::{Archive, InstanceRef};
use mingying_dicom::codec::{self, Photometric, PixelDescription};
use mingying_dicom::render::{self, Format, RenderError, View};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pool. Cheap to clone; all clones share the bound.
#[derive(Debug, Clone)]
pub struct Renderers {
    turns: Arc<Semaphore>,
}

impl Default for Renderers {
    /// One image per processor.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(2, usize::from))
    }
}

impl Renderers {
    /// At most `parallel` images at once.
    pub fn new(parallel: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(parallel.clamp(1, 64))) }
    }

    /// Frame `index` (from 0) of the instance as an encoded picture.
    pub async fn render(
        &self,
        archive: &Archive,
        instance: &InstanceRef,
        index: u32,
        view: View,
        format: Format,
    ) -> Result<Bytes, Problem> {
        let syntax = instance.transfer_syntax.clone();
        let work = move |header: &InMemDicomObject, frame: &[u8]| {
            render::render(header, &syntax, frame, index, &view, format).map(Bytes::from)
        };
        self.work(archive, instance, index, work).await
    }

    /// Frame `index` as little-endian native pixels that lie as the stored header says.
    pub async fn decode(&self, archive: &Archive, instance: &InstanceRef, index: u32) -> Result<Bytes, Problem> {
        let from = instance.transfer_syntax.clone();
        let work = move |header: &InMemDicomObject, frame: &[u8]| {
            let image = PixelDescription::read(header)?.ok_or(RenderError::NoPixels)?;
            Ok(Bytes::from(codec::lay_out(codec::decode(&from, frame, &image)?.bytes, &image)))
        };
        self.work(archive, instance, index, work).await
    }

    /// Frame `index` in another transfer syntax, and what its header must give as Photometric Interpretation.
    pub async fn transcode(
        &self,
        archive: &Archive,
        instance: &InstanceRef,
        index: u32,
        to: &str,
    ) -> Result<(Bytes, Photometric), Problem> {
        let (from, to) = (instance.transfer_syntax.clone(), to.to_owned());
        let work = move |header: &InMemDicomObject, frame: &[u8]| {
            let image = PixelDescription::read(header)?.ok_or(RenderError::NoPixels)?;
            let made = codec::transcode(&from, &to, frame, &image)?;
            Ok((Bytes::from(made.bytes), made.photometric))
        };
        self.work(archive, instance, index, work).await
    }

    async fn work<T, F>(&self, archive: &Archive, instance: &InstanceRef, index: u32, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&InMemDicomObject, &[u8]) -> Result<T, RenderError> + Send + 'static,
    {
        if !instance.has_pixels {
            return Err(RenderError::NoPixels.into());
        }
        if !codec::can_decode(&instance.transfer_syntax) {
            return Err(RenderError::UnsupportedSyntax(instance.transfer_syntax.clone()).into());
        }
        // The turn is taken before the bytes are read: waiting requests hold no pixels.
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned())
            .await
            .map_err(|_| RenderError::Busy)
            .and_then(|turn| turn.map_err(|_| RenderError::Busy))?;
        let header = archive.header(instance).await?;
        let frame = frame_bytes(archive, instance, index).await?;
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&header, &frame)
        })
        .await;
        match made {
            Ok(result) => Ok(result?),
            // A codec that panics has met bytes it did not expect.
            Err(_) => Err(RenderError::Damaged("decoder").into()),
        }
    }
}

/// The frame's bytes as codecs take them. Eight-bit pixels that were written as the words of big endian (OW) have
/// changed places in pairs, over the ends of odd frames (PS3.5 7.3).
async fn frame_bytes(archive: &Archive, instance: &InstanceRef, index: u32) -> Result<Bytes, Problem> {
    let at = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let pixel_at = at(Some(instance.pixel_at));
    let in_words = instance.transfer_syntax == codec::EXPLICIT_VR_BIG_ENDIAN
        && instance.bits_allocated == Some(8)
        && pixel_at >= 12
        && archive.read(instance, pixel_at - 8, 2).await?.as_ref() == b"OW";
    if !in_words {
        return Ok(archive.frame_bytes(instance, index).await?);
    }
    let size = at(instance.rows) * at(instance.columns) * at(instance.samples.or(Some(1)));
    let (start, end) = (u64::from(index) * size, (u64::from(index) + 1) * size);
    if size == 0 || end > at(Some(instance.pixel_len)) || size > codec::MAX_SAMPLES as u64 {
        return Err(RenderError::Damaged("too few pixels").into());
    }
    let from = start - start % 2;
    let mut bytes = archive.read(instance, pixel_at + from, end + end % 2 - from).await?.to_vec();
    for pair in bytes.chunks_exact_mut(2) {
        pair.reverse();
    }
    let odd = (start % 2) as usize;
    let frame = bytes.get(odd..odd + size as usize).ok_or(RenderError::Damaged("too few pixels"))?;
    Ok(Bytes::copy_from_slice(frame))
}
