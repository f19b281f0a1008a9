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
            Ok(Bytes::from(codec::lay_out(codec::decode(&from, frame, &image)?, &image)))
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
        let frame = archive.codec_frame(instance, index).await?;
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
