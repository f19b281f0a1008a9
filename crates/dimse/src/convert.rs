//! Objects on their way to a peer: as they are stored, or in a transfer syntax that the peer takes (PS3.5 10.1: every
//! application takes the default one).

use crate::scu::CallError;
use crate::uids;
use bytes::Bytes;
use mingying_archive::{Archive, ArchiveError, InstanceRef};
use mingying_dicom::codec::{self, Decoded, PixelDescription};
use mingying_dicom::outgoing::{self, PixelValue};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes of an object read from the archive at a time.
const CHUNK: u64 = 1 << 20;

/// What an object may be turned into, the better one first.
pub(crate) const PLAIN: [&str; 2] = [uids::EXPLICIT_LITTLE, uids::IMPLICIT_LITTLE];

/// Whether objects of this transfer syntax can be sent in a plain one.
pub(crate) fn can_be_plain(transfer_syntax: &str) -> bool {
    codec::can_decode(transfer_syntax)
}

/// The data set of an object, piece by piece.
pub(crate) struct Outgoing<'a> {
    archive: &'a Archive,
    instance: &'a InstanceRef,
    /// Decoders that work at the same time, over all associations.
    codecs: &'a Arc<Semaphore>,
    /// What is ready to be sent before all that follows.
    ready: Option<Bytes>,
    rest: Rest,
}

enum Rest {
    /// Bytes of the stored object.
    Stored { at: u64, end: u64 },
    /// Frames from this one on, and the byte that makes their value even.
    Frames { next: u32, image: PixelDescription, odd: bool },
}

impl<'a> Outgoing<'a> {
    /// In the transfer syntax `to`, which is the stored one or one of `PLAIN`. What cannot be turned into it fails here,
    /// before anything is sent.
    pub(crate) async fn open(
        archive: &'a Archive,
        codecs: &'a Arc<Semaphore>,
        instance: &'a InstanceRef,
        to: &str,
    ) -> Result<Self, CallError> {
        let at = |n: i64| u64::try_from(n).unwrap_or(0);
        let open = |ready, rest| Self { archive, instance, codecs, ready, rest };
        if to == instance.transfer_syntax {
            return Ok(open(None, Rest::Stored { at: at(instance.head_len), end: at(instance.size) }));
        }
        if !archive.ends_with_pixels(instance).await? {
            return Err(CallError::Unconvertible("elements behind the pixels"));
        }
        let mut header = archive.header(instance).await?;
        let wide = instance.bits_allocated.is_some_and(|bits| bits > 8);
        let written = |header, value| {
            let written = outgoing::write_header(header, to, wide, value);
            written.map(Bytes::from).map_err(|_| CallError::Unconvertible("header"))
        };
        if !instance.has_pixels {
            return Ok(open(Some(written(header, None)?), Rest::Stored { at: 0, end: 0 }));
        }
        let single_bits = instance.bits_allocated == Some(1) && codec::is_native(&instance.transfer_syntax);
        if outgoing::same_pixels(&instance.transfer_syntax, to) {
            let (at, len) = (at(instance.pixel_at), at(instance.pixel_len));
            let head = written(header, Some(PixelValue::Native { len }))?;
            return Ok(open(Some(head), Rest::Stored { at, end: at + len }));
        }
        let image = PixelDescription::read(&header).ok().flatten().filter(|_| instance.frames > 0 && !single_bits);
        let image = image.ok_or(CallError::Unconvertible("pixels"))?;
        let mut this = open(None, Rest::Stored { at: 0, end: 0 });
        let Decoded { bytes, photometric } = this.decode(0, image).await?;
        outgoing::describe_pixels(&mut header, photometric);
        let len = at(instance.frames).saturating_mul(bytes.len() as u64);
        let head = written(header, Some(PixelValue::Native { len }))?;
        this.ready = Some([head, Bytes::from(bytes)].concat().into());
        this.rest = Rest::Frames { next: 1, image, odd: !len.is_multiple_of(2) };
        Ok(this)
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        if let Some(ready) = self.ready.take() {
            return Ok(Some(ready));
        }
        match &mut self.rest {
            Rest::Stored { at, end } if *at < *end => {
                let piece = self.archive.read(self.instance, *at, CHUNK.min(*end - *at)).await?;
                if piece.is_empty() {
                    return Err(ArchiveError::Unreadable("shorter than indexed").into());
                }
                *at += piece.len() as u64;
                Ok(Some(piece))
            }
            Rest::Stored { .. } => Ok(None),
            Rest::Frames { next, image, odd } => {
                if i64::from(*next) >= self.instance.frames {
                    return Ok(std::mem::take(odd).then(|| Bytes::from_static(&[0])));
                }
                let (frame, image) = (*next, *image);
                *next += 1;
                Ok(Some(self.decode(frame, image).await?.bytes.into()))
            }
        }
    }

    async fn decode(&self, frame: u32, image: PixelDescription) -> Result<Decoded, CallError> {
        // The turn is taken before the bytes are read: who waits holds no pixels.
        let turn = self.codecs.clone().acquire_owned().await.map_err(|_| ArchiveError::Closed)?;
        let bytes = self.archive.codec_frame(self.instance, frame).await?;
        let from = self.instance.transfer_syntax.clone();
        let work = move || {
            let _turn = turn;
            codec::decode(&from, &bytes, &image)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(decoded)) => Ok(decoded),
            Ok(Err(_)) => Err(CallError::Unconvertible("frame")),
            // A codec that panics has met bytes it did not expect.
            Err(_) => Err(CallError::Unconvertible("decoder")),
        }
    }
}
